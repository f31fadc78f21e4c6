// Where outboxes are kept: IndexedDB, or this page's memory where there is none (private windows, a full disk, a
// browser that never answers). Entries in memory are lost with the page; otherwise they behave the same.
//
// Every write may be repeated, as outbox_database.ts does: it goes by an entry's key. What memory holds moves to the
// database as soon as that works again.
import type { Environment } from './environment';
import type { ChatFailure } from './model';
import { OutboxDatabase, SCOPE } from './outbox_database';

/** A message that was written and is not known to be stored. */
export interface OutboxEntry {
  /** Of sending: given by the store, larger for what came later; 0 until it is kept. */
  readonly order: number;
  /** Whose outbox. */
  readonly scope: string;
  /** The `clientMessageId`. */
  readonly key: string;
  readonly content: string;
  readonly createdAt: string;
  readonly failure: ChatFailure | null;
}

export interface KeptEntries {
  /** By order. */
  readonly entries: readonly OutboxEntry[];
  /** False: the database could not be read, and may hold more. */
  readonly isComplete: boolean;
}

export interface OutboxStore {
  all(scope: string): Promise<KeptEntries>;
  /** Gives the entry its order, the largest so far. An earlier entry with its key goes. */
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
  // Entries that the database did not accept. Their `order` is a fraction between two orders of the database, which are
  // whole numbers.
  let memory: readonly OutboxEntry[] = [];
  let newest = 0;

  const insert = ({ order: _, ...unplaced }: OutboxEntry): Promise<number> =>
    database.run('readwrite', (store) => {
      let placed = 0;
      find(store, unplaced.scope, (kept) => {
        for (const { key, order } of kept) if (key === unplaced.key) store.delete(order);
        const added = store.add(unplaced);
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

  /** Moves the entries in memory to the database, in their order. */
  async function moveToDatabase(scope: string): Promise<void> {
    for (const entry of memory.filter((other) => other.scope === scope).sort(byOrder)) {
      newest = await insert(entry);
      memory = memory.filter((other) => other !== entry);
    }
  }

  return {
    async all(scope) {
      await moveToDatabase(scope).catch(() => {});
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
    async add(entry) {
      try {
        await moveToDatabase(entry.scope);
        newest = await insert(entry);
      } catch {
        newest += 2 ** -20;
        memory = [...memory.filter(({ key }) => key !== entry.key), { ...entry, order: newest }];
      }
      return newest;
    },
    async put(entry) {
      const keepHere = (): void => {
        memory = [...memory.filter(({ key }) => key !== entry.key), entry];
      };
      if (memory.some(({ key }) => key === entry.key)) keepHere();
      await update(entry.scope, (store, kept) => {
        for (const { key, order } of kept) if (key === entry.key) store.put({ ...entry, order });
      }).catch(keepHere);
    },
    async remove(scope, key) {
      memory = memory.filter((entry) => entry.key !== key);
      if (!env.indexedDB) return;
      await update(scope, (store, kept) => {
        for (const entry of kept) if (entry.key === key) store.delete(entry.order);
      });
    },
    async clear(isMeant) {
      const scopes = new Set(memory.map(({ scope }) => scope).filter(isMeant));
      memory = memory.filter(({ scope }) => !isMeant(scope));
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
