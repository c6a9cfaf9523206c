import type { Socket } from 'node:net';

/** Somebody to be told when a client's connection is closed. */
export interface Guest {
  onClientGone(): void;
}

/**
 * The clients' connections, and who is being served on each.
 *
 * Node tells a ServerResponse of its connection's end only when it is that response's turn on the wire: the later ones
 * of a pipeline would never hear of it, nor would anyone after an upgrade. So the socket itself is asked.
 */
export class Connections {
  readonly #guests = new Map<Socket, Set<Guest>>();

  readonly onConnection = (socket: Socket): void => {
    const guests = new Set<Guest>();
    this.#guests.set(socket, guests);
    socket.once('close', () => {
      this.#guests.delete(socket);
      for (const guest of guests) guest.onClientGone();
    });
  };

  add(socket: Socket, guest: Guest): void {
    const guests = this.#guests.get(socket);
    if (guests) guests.add(guest);
    else guest.onClientGone();
  }

  remove(socket: Socket, guest: Guest): void {
    this.#guests.get(socket)?.delete(guest);
  }

  destroyAll(): void {
    for (const socket of this.#guests.keys()) socket.destroy();
  }
}
