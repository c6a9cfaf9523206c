import type { Visit } from './visit.ts';

/** Requests in order of arrival. Every operation takes constant time, also with tens of thousands in it. */
export class HoldQueue {
  #first: Visit | undefined = undefined;
  #last: Visit | undefined = undefined;
  #size = 0;
  #bytes = 0;

  get first(): Visit | undefined {
    return this.#first;
  }

  get size(): number {
    return this.#size;
  }

  /** Sum of `heldBytes` of all in it. */
  get bytes(): number {
    return this.#bytes;
  }

  push(visit: Visit): void {
    visit.previous = this.#last;
    if (this.#last) this.#last.next = visit;
    else this.#first = visit;
    this.#last = visit;
    this.#size += 1;
    this.#bytes += visit.heldBytes;
  }

  /** The caller knows that `visit` is in this queue: its stage says so. */
  remove(visit: Visit): void {
    if (visit.previous) visit.previous.next = visit.next;
    else this.#first = visit.next;
    if (visit.next) visit.next.previous = visit.previous;
    else this.#last = visit.previous;
    visit.previous = undefined;
    visit.next = undefined;
    this.#size -= 1;
    this.#bytes -= visit.heldBytes;
  }
}
