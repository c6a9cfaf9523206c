import { createHash } from 'node:crypto';

/** The head of a chain without entries. */
export const GENESIS = '0'.repeat(64);

const REMEMBERED_IDS = 32_768;

/**
 * What the app knows, in memory only: how often each user came, and a hash chain over every request accepted, so
 * that one lost, doubled or reordered request shows in whatever comes after it.
 */
export class Ledger {
  #seq = 0;
  #head = GENESIS;
  #counts = new Map();
  #duplicates = 0;
  /** The last ids, in two generations: a doubled request is doubled within seconds, and memory stays bounded. */
  #recent = new Set();
  #older = new Set();

  /** Enter one request. `hash` is sha256(`prev` ‖ `id`), both as text. */
  append(user, id) {
    if (this.#recent.has(id) || this.#older.has(id)) this.#duplicates += 1;
    this.#remember(id);
    const prev = this.#head;
    this.#seq += 1;
    this.#head = createHash('sha256').update(prev).update(id).digest('hex');
    const count = this.count(user) + 1;
    this.#counts.set(user, count);
    return { id, seq: this.#seq, prev, hash: this.#head, user, count };
  }

  count(user) {
    return this.#counts.get(user) ?? 0;
  }

  state() {
    return { seq: this.#seq, head: this.#head, users: this.#counts.size, duplicates: this.#duplicates };
  }

  #remember(id) {
    if (this.#recent.size >= REMEMBERED_IDS) {
      this.#older = this.#recent;
      this.#recent = new Set();
    }
    this.#recent.add(id);
  }
}
