// What was written and is not known to be stored yet, for one person in one conversation: kept on disk, sent in order,
// one at a time, exactly once.
//
// Every tab of the origin sees the same outbox. A Web Lock lets one of them send; a BroadcastChannel tells the others.
// Exactly once comes from the server: a repeat with the same `clientMessageId` gives the first message again. So an
// entry leaves only when its message was seen, in an answer or as an event, and whatever is in doubt is sent again.
import { ChatError, isPassing, toFailure } from './api';
import { backoff } from './backoff';
import type { Environment } from './environment';
import { isMessage } from './events';
import type { ChatFailure } from './model';
import type { OutboxStore } from './outbox_store';
import type { Message } from './types';

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

export interface OutboxOwner {
  post(entry: OutboxEntry): Promise<Message>;
  /** The message is stored; called before its entry goes. */
  onStored(message: Message): void;
  onChange(entries: readonly OutboxEntry[]): void;
}

type Notice = { readonly type: 'changed' } | { readonly type: 'stored'; readonly message: Message };

/** A server that says 500 or 507 this often for one message has refused it. */
const MAX_SERVER_FAILURES = 5;
/** A session that is over comes back when somebody signs in, which `nudge` tells. */
const UNAUTHORIZED_PAUSE = 60_000;

export class Outbox {
  #entries: readonly OutboxEntry[] = [];
  /** Operations on the store run one after another, so that what is read is never older than what was written. */
  #work: Promise<unknown> = Promise.resolve();
  /** On their way out of the store: what was read before does not bring them back. */
  #leaving = new Set<string>();
  #channel: BroadcastChannel | null = null;
  #closing: AbortController | null = null;
  #isDraining = false;
  #hasMore = false;
  #wake: (() => void) | null = null;

  constructor(
    private readonly env: Environment,
    private readonly store: OutboxStore,
    private readonly scope: string,
    private readonly owner: OutboxOwner,
  ) {}

  open(): void {
    this.#closing = new AbortController();
    this.#channel = this.env.openChannel(`travelchat:${this.scope}`);
    if (this.#channel) this.#channel.onmessage = ({ data }: MessageEvent) => this.#hear(data as Notice);
    void this.#reload().then(() => this.#drain());
  }

  close(): void {
    this.#closing?.abort();
    this.#closing = null;
    this.#channel?.close();
    this.#channel = null;
  }

  add(key: string, content: string): void {
    const createdAt = new Date(this.env.now()).toISOString();
    this.#keep({ order: 0, scope: this.scope, key, content, createdAt, failure: null });
  }

  /** A failed entry goes to the end. */
  retry(key: string): void {
    const entry = this.#entries.find((other) => other.key === key);
    if (!entry?.failure) return;
    this.#change(this.#entries.filter((other) => other !== entry));
    this.#forget(entry);
    this.#keep({ ...entry, order: 0, failure: null });
  }

  /** Forgets an entry: nobody wants it any more, or its message was seen. */
  discard(key: string): void {
    const entry = this.#entries.find((other) => other.key === key);
    if (!entry) return;
    this.#change(this.#entries.filter((other) => other !== entry));
    this.#forget(entry);
    this.#wake?.();
  }

  /** There is a connection: whatever waits for one need not wait longer. */
  nudge(): void {
    this.#wake?.();
    this.#drain();
  }

  #keep(entry: OutboxEntry): void {
    this.#change([...this.#entries, entry]);
    void this.#do(async () => {
      // Discarded meanwhile.
      if (!this.#has(entry.key)) return;
      const order = await this.store.add(entry);
      this.#change(this.#entries.map((other) => (other.key === entry.key ? { ...other, order } : other)));
    }).then(() => {
      this.#tell({ type: 'changed' });
      this.#drain();
    });
  }

  #forget({ key }: OutboxEntry): void {
    this.#leaving.add(key);
    void this.#do(async () => {
      // By its key: it may have got its place in the store after the entry in hand was read.
      for (const kept of await this.store.all(this.scope)) {
        if (kept.key === key) await this.store.remove(kept.order);
      }
      this.#leaving.delete(key);
    }).then(() => this.#tell({ type: 'changed' }));
  }

  #has(key: string): boolean {
    return this.#entries.some((entry) => entry.key === key);
  }

  #do<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => {});
    return done;
  }

  #change(entries: readonly OutboxEntry[]): void {
    this.#entries = entries;
    this.owner.onChange(entries);
  }

  #tell(notice: Notice): void {
    this.#channel?.postMessage(notice);
  }

  #hear(notice: Notice): void {
    // In the line for the lock: should the tab that wrote it vanish, this one sends it.
    if (notice.type === 'changed') void this.#reload().then(() => this.env.locks && this.#drain());
    else if (isMessage(notice.message)) this.owner.onStored(notice.message);
  }

  /** What the store has, and behind it what is on its way there. */
  #reload(): Promise<void> {
    return this.#do(async () => {
      const kept = await this.store.all(this.scope);
      const here = new Map(this.#entries.map((entry) => [entry.key, entry]));
      const entries = kept
        .filter(({ key }) => !this.#leaving.has(key))
        .map((entry) => {
          const same = here.get(entry.key);
          return same?.order === entry.order && same.failure?.code === entry.failure?.code ? same : entry;
        });
      this.#change([...entries, ...this.#entries.filter(({ order }) => order === 0)]);
    });
  }

  #drain(): void {
    const { signal } = this.#closing ?? {};
    if (!signal) return;
    if (this.#isDraining) {
      this.#hasMore = true;
      return;
    }
    if (!this.#entries.some((entry) => !entry.failure)) return;
    this.#isDraining = true;
    let hasRun = false;
    const run = (): Promise<void> => {
      hasRun = true;
      return this.#sendAll(signal);
    };
    const { locks } = this.env;
    const done = locks ? locks.request(`travelchat:${this.scope}`, { signal }, run) : run();
    void done
      // It was closed while it waited for its turn; or the frame may use no locks, and sends as if it were alone.
      .catch(() => (hasRun || signal.aborted ? undefined : run()))
      .then(() => {
        this.#isDraining = false;
        if (this.#hasMore) {
          this.#hasMore = false;
          this.#drain();
        }
      });
  }

  async #sendAll(signal: AbortSignal): Promise<void> {
    // Another tab may have sent or added while this one waited for the lock.
    await this.#reload();
    let failures = 0;
    let last = '';
    while (!signal.aborted) {
      const entry = this.#entries.find((other) => !other.failure && other.order > 0);
      if (!entry) return;
      if (entry.key !== last) failures = 0;
      last = entry.key;
      try {
        const message = await this.owner.post(entry);
        this.owner.onStored(message);
        this.#tell({ type: 'stored', message });
        this.discard(entry.key);
        await this.#work;
      } catch (error) {
        // Its event came although its answer did not, or a person took it back.
        if (!this.#has(entry.key)) continue;
        failures += 1;
        const failure = toFailure(error);
        if (isPassing(failure) || (failure.status >= 500 && failures < MAX_SERVER_FAILURES)) {
          const asked = error instanceof ChatError ? error.retryAfter : null;
          const ms = failure.status === 401 ? UNAUTHORIZED_PAUSE : backoff(failures, this.env.random());
          await this.#pause(asked ?? ms, asked === null, signal);
        } else {
          await this.#fail(entry, failure);
        }
      }
    }
  }

  async #fail(entry: OutboxEntry, failure: ChatFailure): Promise<void> {
    const failed = { ...entry, failure };
    this.#change(this.#entries.map((other) => (other.key === entry.key ? failed : other)));
    await this.#do(() => this.store.put(failed));
    this.#tell({ type: 'changed' });
  }

  /** `nudge` shortens it only if the server did not ask for it. */
  #pause(ms: number, canWake: boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = (): void => {
        this.env.clearTimeout(timer);
        signal.removeEventListener('abort', end);
        this.#wake = null;
        resolve();
      };
      const timer = this.env.setTimeout(end, ms);
      signal.addEventListener('abort', end);
      if (canWake) this.#wake = end;
    });
  }
}
