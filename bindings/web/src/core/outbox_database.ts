// The connection to this browser's database of unsent messages.
//
// A browser closes a page's database whenever it likes: after a suspension, when somebody clears the site's data, when
// the process behind it has crashed. So each use takes whatever connection there is, and when that fails, tries once more
// with a new one. Every use may therefore be repeated.
import type { Environment } from './environment';

const NAME = 'travelchat';
const STORE = 'outbox';
/** The index of the store by the entries' scope. */
export const SCOPE = 'scope';
/** Some browsers leave a request to IndexedDB unanswered for ever: a page's first one, or those before a suspension. */
const TIMEOUT = 3000;
/** A database that did not open is not tried again for this long. */
const PAUSE = 30_000;

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

export class OutboxDatabase {
  #opening: Promise<IDBDatabase> | null = null;
  #database: IDBDatabase | null = null;
  #failedAt: number | null = null;
  #uses = 0;
  #isClosed = false;

  constructor(private readonly env: Environment) {}

  /** Runs one transaction; see `transact`. Rejects when the database cannot be opened or refuses. */
  async run<T>(mode: IDBTransactionMode, make: (store: IDBObjectStore) => () => T): Promise<T> {
    this.#uses += 1;
    try {
      for (let isLast = false; ; isLast = true) {
        const used = await this.#connection();
        try {
          return await transact(this.env, used, mode, make);
        } catch (error) {
          if (isFull(error)) throw error;
          this.#drop(used);
          if (isLast) throw error;
        }
      }
    } finally {
      this.#uses -= 1;
      this.#closeUnused();
    }
  }

  /** Closes the connection after the uses that are under way. A later use still gets a connection for its duration. */
  close(): void {
    this.#isClosed = true;
    this.#closeUnused();
  }

  #closeUnused(): void {
    if (this.#isClosed && this.#uses === 0 && this.#database) this.#drop(this.#database);
  }

  #drop(gone: IDBDatabase): void {
    gone.close();
    if (this.#database !== gone) return;
    this.#database = null;
    this.#opening = null;
  }

  #connection(): Promise<IDBDatabase> {
    if (this.#opening === null || (this.#failedAt !== null && this.env.now() - this.#failedAt >= PAUSE)) {
      this.#failedAt = null;
      this.#opening = this.#open();
    }
    return this.#opening;
  }

  #open(): Promise<IDBDatabase> {
    const { env } = this;
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
        // It took too long and another connection was requested, or none is wanted any more.
        if (this.#opening !== own || (this.#isClosed && this.#uses === 0)) return result.close();
        result.onclose = () => this.#drop(result);
        // Another page deletes the database, or a later version of this one changes its schema.
        result.onversionchange = () => this.#drop(result);
        this.#database = result;
        this.#failedAt = null;
        // Kept also when nobody waits any more: the next use takes it.
        this.#opening = Promise.resolve(result);
        resolve(result);
      };
    });
    own.catch(() => {
      if (this.#opening === own) this.#failedAt = env.now();
    });
    return own;
  }
}
