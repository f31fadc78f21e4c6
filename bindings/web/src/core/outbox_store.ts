// Where outboxes are kept: IndexedDB, or this page's memory where there is none (private windows, a full disk, a
// browser that never answers). What memory holds is lost with the page; nothing else changes.
//
// A browser closes a page's database whenever it likes: after a suspension, when somebody clears the site's data, when
// the process behind it has crashed. So each use takes whatever connection there is, and when that fails, tries once more
// with a new one. Every write may be repeated: it goes by an entry's key. What memory holds moves to the database as soon
// as that works again.
import type { Environment } from './environment';
import type { ChatFailure } from './model';

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
  /** Closes the connection, after what is under way. Whoever uses the store still gets one for as long as that takes. */
  close(): void;
}

const NAME = 'travelchat';
const STORE = 'outbox';
const SCOPE = 'scope';
/** Some browsers leave a request to IndexedDB unanswered for ever: a page's first one, or those before a suspension. */
const TIMEOUT = 3000;
/** A database that did not open is left alone for this long. */
const PAUSE = 30_000;

const byOrder = (a: OutboxEntry, b: OutboxEntry): number => a.order - b.order;

const isFull = (error: unknown): boolean => (error as Partial<DOMException> | null)?.name === 'QuotaExceededError';

/** `make` issues the requests, and gives what reads the result once all of them are done. */
function transact<T>(
  env: Environment,
  database: IDBDatabase,
  mode: IDBTransactionMode,
  make: (store: IDBObjectStore) => () => T,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const transaction = database.transaction(STORE, mode, { durability: 'strict' });
    const result = make(transaction.objectStore(STORE));
    const timer = env.setTimeout(() => reject(), TIMEOUT);
    transaction.oncomplete = () => {
      env.clearTimeout(timer);
      resolve(result());
    };
    transaction.onabort = () => {
      env.clearTimeout(timer);
      reject(transaction.error);
    };
  });
}

/** Those of a scope, or all of them. */
function find(store: IDBObjectStore, scope: string | null, found: (kept: OutboxEntry[]) => void): void {
  const request: IDBRequest<OutboxEntry[]> = scope === null ? store.getAll() : store.index(SCOPE).getAll(scope);
  request.onsuccess = () => found(request.result);
}

export function openOutboxStore(env: Environment): OutboxStore {
  let opening: Promise<IDBDatabase> | null = null;
  let database: IDBDatabase | null = null;
  let failedAt: number | null = null;
  let uses = 0;
  let isClosed = false;
  // What the database would not take. Its orders are between the database's, which counts in whole numbers.
  let memory: readonly OutboxEntry[] = [];
  let newest = 0;

  function drop(gone: IDBDatabase): void {
    gone.close();
    if (database !== gone) return;
    database = null;
    opening = null;
  }

  function open(): Promise<IDBDatabase> {
    const own = new Promise<IDBDatabase>((resolve, reject) => {
      if (!env.indexedDB) return reject();
      const request = env.indexedDB.open(NAME, 1);
      const timer = env.setTimeout(() => reject(), TIMEOUT);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(STORE, { keyPath: 'order', autoIncrement: true }).createIndex(SCOPE, SCOPE);
      };
      request.onerror = () => {
        env.clearTimeout(timer);
        reject(request.error);
      };
      request.onsuccess = () => {
        env.clearTimeout(timer);
        const { result } = request;
        // Another one was asked for after this had taken too long, or nobody wants any.
        if (opening !== own || (isClosed && uses === 0)) return result.close();
        result.onclose = () => drop(result);
        // Another page deletes the database, or a later version of this one changes its schema.
        result.onversionchange = () => drop(result);
        database = result;
        failedAt = null;
        // Also where nobody waits any more: the next use finds it.
        opening = Promise.resolve(result);
        resolve(result);
      };
    });
    own.catch(() => {
      if (opening === own) failedAt = env.now();
    });
    return own;
  }

  function connection(): Promise<IDBDatabase> {
    if (opening === null || (failedAt !== null && env.now() - failedAt >= PAUSE)) {
      failedAt = null;
      opening = open();
    }
    return opening;
  }

  async function ask<T>(mode: IDBTransactionMode, make: (store: IDBObjectStore) => () => T): Promise<T> {
    uses += 1;
    try {
      for (let isLast = false; ; isLast = true) {
        const used = await connection();
        try {
          return await transact(env, used, mode, make);
        } catch (error) {
          if (isFull(error)) throw error;
          drop(used);
          if (isLast) throw error;
        }
      }
    } finally {
      uses -= 1;
      if (isClosed && uses === 0 && database) drop(database);
    }
  }

  const place = ({ order: _, ...unplaced }: OutboxEntry): Promise<number> =>
    ask('readwrite', (store) => {
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
    ask('readwrite', (store) => {
      find(store, scope, (kept) => change(store, kept));
      return () => {};
    });

  /** What found no room before goes first. */
  async function moveOut(scope: string): Promise<void> {
    for (const entry of memory.filter((other) => other.scope === scope).sort(byOrder)) {
      newest = await place(entry);
      memory = memory.filter((other) => other !== entry);
    }
  }

  return {
    async all(scope) {
      await moveOut(scope).catch(() => {});
      const kept = await ask('readonly', (store) => {
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
        await moveOut(entry.scope);
        newest = await place(entry);
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
      isClosed = true;
      if (uses === 0 && database) drop(database);
    },
  };
}
