// The unsent messages of one person in one conversation: kept on disk until they are known to be stored, and sent in
// order, one at a time, exactly once.
//
// Every tab of the origin sees the same outbox. A Web Lock lets one of them send, one message at a time (send_lock.ts);
// a BroadcastChannel tells the others. Exactly once comes from the server: a repeat with the same `clientMessageId`
// gives the first message again. So an entry is removed only when its message was seen, in an answer or as an event,
// and is sent again whenever that is in doubt. Every tab begins with the oldest entry, which keeps the order.
import { ChatError, isPassing, toFailure } from './api';
import { backoff } from './backoff';
import type { Environment, Timer } from './environment';
import { isMessage } from './events';
import type { ChatFailure } from './model';
import type { OutboxEntry, OutboxStore } from './outbox_store';
import { channelOf } from './scope';
import type { LockNotice } from './send_lock';
import { SendLock } from './send_lock';
import type { Message } from './types';

export interface OutboxOwner {
  post(entry: OutboxEntry): Promise<Message>;
  /** The message is stored; called before its entry goes. */
  onStored(message: Message): void;
  onChange(entries: readonly OutboxEntry[]): void;
}

type Notice = LockNotice | { readonly type: 'changed' } | { readonly type: 'stored'; readonly message: Message };

/** A server that says 500 or 507 this often for one message has refused it. */
const MAX_SERVER_FAILURES = 5;
/** After a 401: the session is back when somebody signs in, and then `retryNow` is called. */
const UNAUTHORIZED_PAUSE = 60_000;
/** A store that could not be read is read again after this, or with the next connection. */
const READ_PAUSE = 30_000;

export class Outbox {
  #entries: readonly OutboxEntry[] = [];
  /** Operations on the store run one after another, so that what is read is never older than what was written. */
  #work: Promise<unknown> = Promise.resolve();
  /** Keys that are being removed from the store, so that a concurrent reload does not bring them back. */
  #leaving = new Set<string>();
  /** The last reading of the store gave all that is in it. */
  #isComplete = false;
  #rereadTimer: Timer | null = null;
  #lock: SendLock;
  #channel: BroadcastChannel | null = null;
  #closing: AbortController | null = null;
  #isDraining = false;
  #hasMore = false;
  #endPause: (() => void) | null = null;
  /** The entry that was tried last, and how often it failed in a row. */
  #triedKey = '';
  #failures = 0;

  constructor(
    private readonly env: Environment,
    private readonly store: OutboxStore,
    private readonly scope: string,
    private readonly owner: OutboxOwner,
  ) {
    this.#lock = new SendLock(env, channelOf(scope), (notice) => this.#broadcast(notice));
  }

  open(): void {
    this.#closing = new AbortController();
    this.#channel = this.env.openChannel(channelOf(this.scope));
    if (this.#channel) this.#channel.onmessage = ({ data }: MessageEvent) => this.#onNotice(data as Notice);
    this.#catchUp();
  }

  close(): void {
    if (this.#rereadTimer !== null) this.env.clearTimeout(this.#rereadTimer);
    this.#rereadTimer = null;
    this.#closing?.abort();
    this.#closing = null;
    this.#channel?.close();
    this.#channel = null;
  }

  add(key: string, content: string): void {
    const createdAt = new Date(this.env.now()).toISOString();
    this.#append({ order: 0, scope: this.scope, key, content, createdAt, failure: null });
  }

  /** A failed entry goes to the end. */
  retry(key: string): void {
    const entry = this.#entries.find((other) => other.key === key);
    if (!entry?.failure) return;
    this.#setEntries(this.#entries.filter((other) => other !== entry));
    this.#append({ ...entry, order: 0, failure: null });
  }

  /** Forgets an entry: nobody wants it any more, or its message was seen. */
  discard(key: string): void {
    const entry = this.#entries.find((other) => other.key === key);
    if (!entry) return;
    this.#setEntries(this.#entries.filter((other) => other !== entry));
    this.#removeFromStore(entry);
    this.#endPause?.();
  }

  /** There is a connection: whatever waits for one need not wait longer. */
  retryNow(): void {
    this.#endPause?.();
    if (this.#isComplete) this.#drain();
    else this.#catchUp();
  }

  #catchUp(): void {
    void this.#reload().then(() => this.#drain());
  }

  /** At the end; the same entry further up goes. */
  #append(entry: OutboxEntry): void {
    this.#leaving.delete(entry.key);
    this.store.note(entry);
    this.#setEntries([...this.#entries, entry]);
    void this.#enqueue(async () => {
      // Discarded meanwhile.
      if (!this.#has(entry.key)) return;
      const order = await this.store.add(entry);
      this.#setEntries(this.#entries.map((other) => (other.key === entry.key ? { ...other, order } : other)));
    }).then(() => {
      this.#broadcast({ type: 'changed' });
      this.#drain();
    });
  }

  #removeFromStore({ key }: OutboxEntry): void {
    this.#leaving.add(key);
    void this.#enqueue(() => this.#remove(key)).then(() => this.#broadcast({ type: 'changed' }));
  }

  async #remove(key: string): Promise<void> {
    try {
      await this.store.remove(this.scope, key);
      this.#leaving.delete(key);
    } catch {
      // It stays in `#leaving`: the next reload that finds it removes it again.
    }
  }

  #has(key: string): boolean {
    return this.#entries.some((entry) => entry.key === key);
  }

  #enqueue<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }

  #setEntries(entries: readonly OutboxEntry[]): void {
    this.#entries = entries;
    this.owner.onChange(entries);
  }

  #broadcast(notice: Notice): boolean {
    this.#channel?.postMessage(notice);
    return this.#channel !== null;
  }

  #onNotice(notice: Notice): void {
    // This tab asks for the lock as well: should the tab that wrote the message vanish, this one sends it.
    if (notice.type === 'changed') void this.#reload().then(() => this.env.locks && this.#drain());
    else if (notice.type !== 'stored') this.#lock.onNotice(notice);
    else if (isMessage(notice.message)) this.owner.onStored(notice.message);
  }

  /** Reads the entries from the store, and appends those that are still being written. When the store cannot be read,
   *  nothing is removed. */
  #reload(): Promise<void> {
    return this.#enqueue(async () => {
      const { entries: kept, isComplete } = await this.store.all(this.scope);
      this.#isComplete = isComplete;
      if (!isComplete) this.#scheduleReading();
      const here = new Map(this.#entries.map((entry) => [entry.key, entry]));
      const read = kept
        .filter(({ key }) => !this.#leaving.has(key) && here.get(key)?.order !== 0)
        .map((entry) => {
          const same = here.get(entry.key);
          return same?.order === entry.order && same.failure?.code === entry.failure?.code ? same : entry;
        });
      const keys = new Set(read.map(({ key }) => key));
      const rest = this.#entries.filter(({ key, order }) => order === 0 || (!isComplete && !keys.has(key)));
      this.#setEntries([...read, ...rest].sort((a, b) => (a.order || Infinity) - (b.order || Infinity) || 0));
      for (const { key } of kept) if (this.#leaving.has(key)) await this.#remove(key);
    });
  }

  #scheduleReading(): void {
    if (!this.#closing || !this.env.indexedDB) return;
    this.#rereadTimer ??= this.env.setTimeout(() => {
      this.#rereadTimer = null;
      this.#catchUp();
    }, READ_PAUSE);
  }

  #drain(): void {
    const { signal } = this.#closing ?? {};
    if (!signal) return;
    if (this.#isDraining) {
      this.#hasMore = true;
      return;
    }
    if (!this.#hasUnsent()) return;
    this.#isDraining = true;
    this.#triedKey = '';
    void this.#sendAll(signal)
      // It was closed while it waited for its turn.
      .catch(() => {})
      .then(() => {
        this.#isDraining = false;
        if (this.#hasMore) {
          this.#hasMore = false;
          this.#drain();
        }
      });
  }

  #hasUnsent(): boolean {
    return this.#entries.some(({ failure }) => !failure);
  }

  async #sendAll(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#hasUnsent()) {
      const pause = await this.#lock.hold(signal, () => this.#sendNext(signal));
      if (pause === null) return;
      // Gives up the lock during a long pause: another tab may be able to send.
      if (pause > 0) await this.#pause(pause, true, signal);
    }
  }

  /** Sends the oldest entry. Resolves to the pause before the next one, in ms, during which other tabs may send; null
   *  when there is nothing to send. */
  async #sendNext(signal: AbortSignal): Promise<number | null> {
    // Another tab may have sent or added while this one waited for the lock.
    await this.#reload();
    const entry = this.#entries.find(({ failure, order }) => !failure && order > 0);
    if (!entry || signal.aborted) return null;
    if (entry.key !== this.#triedKey) this.#failures = 0;
    this.#triedKey = entry.key;
    try {
      const message = await this.owner.post(entry);
      this.owner.onStored(message);
      this.#broadcast({ type: 'stored', message });
      this.discard(entry.key);
      await this.#work;
    } catch (error) {
      // Its event came although its answer did not, or a person discarded it.
      if (!this.#has(entry.key)) return 0;
      this.#failures += 1;
      const failure = toFailure(error);
      if (failure.status === 401) return UNAUTHORIZED_PAUSE;
      if (isPassing(failure) || (failure.status >= 500 && this.#failures < MAX_SERVER_FAILURES)) {
        const asked = error instanceof ChatError ? error.retryAfter : null;
        const ms = backoff(this.#failures, this.env.random());
        await this.#pause(Math.max(asked ?? 0, ms), asked === null, signal);
      } else {
        await this.#fail(entry, failure);
      }
    }
    return 0;
  }

  async #fail(entry: OutboxEntry, failure: ChatFailure): Promise<void> {
    const failed = { ...entry, failure };
    this.#setEntries(this.#entries.map((other) => (other.key === entry.key ? failed : other)));
    await this.#enqueue(() => this.store.put(failed));
    this.#broadcast({ type: 'changed' });
  }

  /** `retryNow` shortens it only if the server did not ask for it. */
  #pause(ms: number, canWake: boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = (): void => {
        this.env.clearTimeout(timer);
        signal.removeEventListener('abort', end);
        this.#endPause = null;
        resolve();
      };
      const timer = this.env.setTimeout(end, ms);
      signal.addEventListener('abort', end);
      if (canWake) this.#endPause = end;
    });
  }
}
