// Entries on their way to the outbox's database, in localStorage, which is written at once: a page may be closed or
// reloaded in the moment that somebody presses Send, and the database takes a few milliseconds, or seconds on a slow disk.
//
// Another page of the origin may read an entry before its writer has taken it away. So whoever moves entries to the database
// does it by their keys.
import type { Environment } from './environment';
import type { OutboxEntry } from './outbox_entry';
import { journalKeyOf, scopeOfJournal } from './scope';

function parse(text: string | null): OutboxEntry | null {
  try {
    const entry = JSON.parse(text ?? '') as OutboxEntry;
    return typeof entry.key === 'string' && typeof entry.content === 'string' && entry.order > 0 ? entry : null;
  } catch {
    return null;
  }
}

export class OutboxJournal {
  /** The `order` of the entry that was noted last; the time in microseconds, so that pages of one browser agree. */
  #newest = 0;

  constructor(private readonly env: Environment) {}

  /** Replaces the entry with its key. */
  note(entry: OutboxEntry): void {
    this.#newest = Math.max(this.#newest + 1, this.env.now() * 1000);
    try {
      const noted: OutboxEntry = { ...entry, order: this.#newest };
      this.env.localStorage?.setItem(journalKeyOf(entry.scope, entry.key), JSON.stringify(noted));
    } catch {
      // The storage is full or closed to this page: the entry lives as long as the page until the database has it.
    }
  }

  forget(scope: string, key: string): void {
    try {
      this.env.localStorage?.removeItem(journalKeyOf(scope, key));
    } catch {
      // As above: nothing is in it.
    }
  }

  /** Of the scopes that are meant, in the order of noting. */
  entries(isMeant: (scope: string) => boolean): OutboxEntry[] {
    const { localStorage } = this.env;
    const found: OutboxEntry[] = [];
    try {
      for (let at = 0; at < (localStorage?.length ?? 0); at += 1) {
        const name = localStorage?.key(at) ?? '';
        const scope = scopeOfJournal(name);
        const entry = scope !== null && isMeant(scope) ? parse(localStorage?.getItem(name) ?? null) : null;
        if (entry?.scope === scope && entry) found.push(entry);
      }
    } catch {
      // As above.
    }
    return found.sort((a, b) => a.order - b.order);
  }
}
