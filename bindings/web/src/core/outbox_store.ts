// Where outboxes are kept: IndexedDB, or this page's memory where there is none (private windows, a full disk, a
// browser that never answers). What memory holds is lost with the page; nothing else changes.
import type { Environment } from './environment';
import type { OutboxEntry } from './outbox';

export interface OutboxStore {
  /** By order. */
  all(scope: string): Promise<OutboxEntry[]>;
  /** Gives the entry its order, the largest so far. */
  add(entry: OutboxEntry): Promise<number>;
  put(entry: OutboxEntry): Promise<void>;
  remove(order: number): Promise<void>;
}

const NAME = 'travelchat';
const STORE = 'outbox';
const SCOPE = 'scope';
/** Some browsers leave a page's first request to IndexedDB unanswered for ever. */
const OPEN_TIMEOUT = 3000;

const settled = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

function open(env: Environment): Promise<IDBDatabase | null> {
  return new Promise((resolve) => {
    const timer = env.setTimeout(() => resolve(null), OPEN_TIMEOUT);
    const end = (database: IDBDatabase | null): void => {
      env.clearTimeout(timer);
      resolve(database);
    };
    try {
      const request = env.indexedDB?.open(NAME, 1);
      if (!request) return end(null);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(STORE, { keyPath: 'order', autoIncrement: true }).createIndex(SCOPE, SCOPE);
      };
      request.onerror = () => end(null);
      request.onblocked = () => end(null);
      request.onsuccess = () => {
        // A later version of this page may want to change the schema.
        request.result.onversionchange = () => request.result.close();
        end(request.result);
      };
    } catch {
      end(null);
    }
  });
}

export function openOutboxStore(env: Environment): OutboxStore {
  let database: Promise<IDBDatabase | null> | null = null;
  // What the database would not take. Its orders are between the database's, which counts in whole numbers.
  let memory: readonly OutboxEntry[] = [];
  let newest = 0;

  // Null when there is no database or it refuses.
  async function ask<T>(mode: IDBTransactionMode, make: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | null> {
    database ??= open(env);
    const db = await database;
    if (!db) return null;
    try {
      const transaction = db.transaction(STORE, mode, { durability: 'strict' });
      const result = await settled(make(transaction.objectStore(STORE)));
      if (mode === 'readwrite') {
        await new Promise<void>((resolve, reject) => {
          transaction.oncomplete = () => resolve();
          transaction.onabort = () => reject(transaction.error);
        });
      }
      return result;
    } catch {
      return null;
    }
  }

  return {
    async all(scope) {
      const kept = (await ask<OutboxEntry[]>('readonly', (store) => store.index(SCOPE).getAll(scope))) ?? [];
      return [...kept, ...memory.filter((entry) => entry.scope === scope)].sort((a, b) => a.order - b.order);
    },
    async add(entry) {
      const { order: _, ...unplaced } = entry;
      const order = await ask('readwrite', (store) => store.add(unplaced));
      newest = order === null ? newest + 2 ** -20 : Number(order);
      if (order === null) memory = [...memory, { ...entry, order: newest }];
      return newest;
    },
    async put(entry) {
      if (memory.some(({ order }) => order === entry.order)) {
        memory = memory.map((other) => (other.order === entry.order ? entry : other));
      } else {
        await ask('readwrite', (store) => store.put(entry));
      }
    },
    async remove(order) {
      memory = memory.filter((entry) => entry.order !== order);
      await ask('readwrite', (store) => store.delete(order));
    },
  };
}
