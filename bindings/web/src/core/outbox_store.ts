// Where outboxes are kept: IndexedDB, or this page's memory where there is none (private windows, a full disk, a
// browser that never answers). Until the database has an entry, it is in the journal too; entries in memory that the
// journal could not take are lost with the page.
//
// Every write may be repeated, as outbox_database.ts does: it goes by an entry's key. What memory and the journal hold
// moves to the database as soon as that works.
import type { Environment } from './environment';
import { OutboxDatabase, SCOPE } from './outbox_database';
import type { OutboxEntry } from './outbox_entry';
import { OutboxJournal } from './outbox_journal';

export type { OutboxEntry } from './outbox_entry';

export interface KeptEntries {
  /** By order. */
  readonly entries: readonly OutboxEntry[];
  /** False: the database could not be read, and may hold more. */
  readonly isComplete: boolean;
}

export interface OutboxStore {
  all(scope: string): Promise<KeptEntries>;
  /** Before this returns, the entry is where the next page finds it. `add` follows. */
  note(entry: OutboxEntry): void;
  /** Gives the entry its order, the largest so far. A failed entry with its key goes; one that waits to be sent keeps its
   *  place, since another page may have found it in the journal. */
  add(entry: OutboxEntry): Promise<number>;
  /** Replaces the entry with its key, if that is still there. */
  put(entry: OutboxEntry): Promise<void>;
  /** Rejects when the database refused: the entry may still be in it. */
  remove(scope: string, key: string): Promise<void>;
  /** Removes whole outboxes; gives their scopes. */
  clear(isMeant: (scope: string) => boolean): Promise<ReadonlySet<string>>;
  /** Closes the connection after the uses that are under way. A later use still gets a connection for its duration. */
  close(): void;
}

const byOrder = (a: OutboxEntry, b: OutboxEntry): number => a.order - b.order;

/** Those of a scope, or all of them. */
function find(store: IDBObjectStore, scope: string | null, found: (kept: OutboxEntry[]) => void): void {
  const request: IDBRequest<OutboxEntry[]> = scope === null ? store.getAll() : store.index(SCOPE).getAll(scope);
  request.onsuccess = () => found(request.result);
}

export function openOutboxStore(env: Environment): OutboxStore {
  const database = new OutboxDatabase(env);
  const journal = new OutboxJournal(env);
  // Entries that the database did not accept. Their `order` is a fraction between two orders of the database, which are
  // whole numbers.
  let memory: readonly OutboxEntry[] = [];
  let newest = 0;

  const insert = ({ order: _, ...unplaced }: OutboxEntry): Promise<number> =>
    database.run('readwrite', (store) => {
      let placed = 0;
      find(store, unplaced.scope, (kept) => {
        const same = kept.find(({ key }) => key === unplaced.key);
        if (same?.failure) store.delete(same.order);
        const added = store.put(same && !same.failure ? { ...unplaced, order: same.order } : unplaced);
        added.onsuccess = () => {
          placed = Number(added.result);
        };
      });
      return () => placed;
    });

  const update = (scope: string | null, change: (store: IDBObjectStore, kept: OutboxEntry[]) => void): Promise<void> =>
    database.run('readwrite', (store) => {
      find(store, scope, (kept) => change(store, kept));
      return () => {};
    });

  const hold = (entry: OutboxEntry): number => {
    newest += 2 ** -20;
    memory = [...memory.filter(({ key }) => key !== entry.key), { ...entry, order: newest }];
    return newest;
  };

  /** Takes what a page that is gone left in the journal, and what another one is just writing. */
  function takeFromJournal(scope: string): void {
    const held = new Set(memory.map(({ key }) => key));
    for (const entry of journal.entries((other) => other === scope)) if (!held.has(entry.key)) hold(entry);
  }

  /** Moves the entries in memory to the database, in their order; stops at the first that it refuses. Gives the orders of
   *  those that were moved. */
  async function moveToDatabase(scope: string): Promise<ReadonlyMap<string, number>> {
    const orders = new Map<string, number>();
    try {
      for (const entry of memory.filter((other) => other.scope === scope).sort(byOrder)) {
        const order = await insert(entry);
        orders.set(entry.key, order);
        newest = Math.max(newest, order);
        memory = memory.filter((other) => other !== entry);
        journal.forget(scope, entry.key);
      }
    } catch {
      // The rest stays in memory.
    }
    return orders;
  }

  return {
    async all(scope) {
      takeFromJournal(scope);
      await moveToDatabase(scope);
      const kept = await database.run('readonly', (store) => {
        let all: OutboxEntry[] = [];
        find(store, scope, (found) => {
          all = found;
        });
        return () => all;
      }).catch(() => null);
      const here = memory.filter((entry) => entry.scope === scope);
      const keys = new Set(here.map(({ key }) => key));
      const entries = [...(kept ?? []).filter(({ key }) => !keys.has(key)), ...here].sort(byOrder);
      newest = Math.max(newest, entries.at(-1)?.order ?? 0);
      return { entries, isComplete: kept !== null };
    },
    note: (entry) => journal.note(entry),
    async add(entry) {
      takeFromJournal(entry.scope);
      const same = memory.find(({ key }) => key === entry.key);
      const here = same && !same.failure ? same.order : hold(entry);
      return (await moveToDatabase(entry.scope)).get(entry.key) ?? here;
    },
    async put(entry) {
      const keepHere = (): void => {
        memory = [...memory.filter(({ key }) => key !== entry.key), entry];
        journal.note(entry);
      };
      if (memory.some(({ key }) => key === entry.key)) keepHere();
      await update(entry.scope, (store, kept) => {
        for (const { key, order } of kept) if (key === entry.key) store.put({ ...entry, order });
      }).catch(keepHere);
    },
    async remove(scope, key) {
      memory = memory.filter((entry) => entry.key !== key);
      journal.forget(scope, key);
      if (!env.indexedDB) return;
      await update(scope, (store, kept) => {
        for (const entry of kept) if (entry.key === key) store.delete(entry.order);
      });
    },
    async clear(isMeant) {
      const scopes = new Set(memory.map(({ scope }) => scope).filter(isMeant));
      memory = memory.filter(({ scope }) => !isMeant(scope));
      for (const { scope, key } of journal.entries(isMeant)) {
        scopes.add(scope);
        journal.forget(scope, key);
      }
      await update(null, (store, kept) => {
        for (const { scope, order } of kept) {
          if (!isMeant(scope)) continue;
          scopes.add(scope);
          store.delete(order);
        }
      }).catch(() => {});
      return scopes;
    },
    close() {
      database.close();
    },
  };
}
