import { addon, type NativeEngine, type NativeListener } from './addon';
import { asChatError, callNative, ChatError, type ErrorCode } from './errors';
import { toNativeStorage, type BuiltInStorage, type ChatStorage } from './storage';
import type {
  CallOptions,
  ChatEvent,
  Conversation,
  ConversationSummary,
  Draft,
  Emoji,
  EngineOptions,
  EngineStats,
  InboxEvent,
  IssuedToken,
  Marked,
  MessagePage,
  MessageQuery,
  Participant,
  Reaction,
  Sent,
  TokenClaims,
  TokenGrant,
} from './types';

const natives = new WeakMap<ChatEngine, NativeEngine>();

/** @internal */
export function nativeOf(engine: ChatEngine): NativeEngine {
  const native = natives.get(engine);
  if (native === undefined) throw new TypeError('engine must be a ChatEngine');
  return native;
}

/** How a listener listens. */
export interface SubscribeOptions extends CallOptions {
  /** First what changed after this revision, then `caught_up` (or `resync`), then everything live. */
  since?: number;
  /** Whose typing `setTyping` reports. */
  as?: Participant;
  /** Events that may wait; a listener that falls further behind ends with `too_slow`. 10,000 when left out. */
  maxQueued?: number;
}

/**
 * The chat engine: every use case of a conversation, over any storage, for any number of listeners. Its threads are its
 * own, and nothing here blocks the event loop. An operation that fails rejects with a `ChatError`; an argument of the
 * wrong type with a `TypeError`.
 */
export class ChatEngine {
  readonly #native: NativeEngine;
  #closing: Promise<void> | undefined;

  /**
   * Opens the storage, before it returns. Throws `storage_locked`, `storage_incompatible`, `storage_full`,
   * `storage_failed` or `invalid_argument` (a URL that is none); where more is known, `cause` says it to an operator.
   */
  constructor(storage: BuiltInStorage | ChatStorage, options: EngineOptions = {}) {
    this.#native = callNative(() => new (addon().Engine)(toNativeStorage(storage), options));
    natives.set(this, this.#native);
  }

  // ---- Conversations ----

  /** The conversation of this organization with this client, made when there is none. */
  openConversation(orgId: string, clientId: string, options?: CallOptions): Promise<Conversation> {
    return this.#invoke('openConversation', { orgId, clientId }, options);
  }

  /** Rejects with `not_found`. For a transport that decides itself who may know of it. */
  findConversation(conversationId: string, options?: CallOptions): Promise<Conversation> {
    return this.#invoke('findConversation', { conversationId }, options);
  }

  /** Newest activity first. `text` is looked for in messages; a conversation with one of `clientIds` matches too. */
  listConversations(
    query: { orgId: string; text?: string; clientIds?: string[] },
    options?: CallOptions,
  ): Promise<ConversationSummary[]> {
    return this.#invoke('listConversations', query, options);
  }

  /** Clients' messages in the organization that no advisor has read. */
  countUnread(orgId: string, options?: CallOptions): Promise<number> {
    return this.#invoke('countUnread', { orgId }, options);
  }

  // ---- Messages ----

  /** Stores and broadcasts a message; resolves once it is on disk. */
  send(sender: Participant, draft: Draft, options?: CallOptions): Promise<Sent> {
    return this.#invoke('send', { ...draft, sender }, options);
  }

  /** By `seq`. */
  listMessages(reader: Participant, query: MessageQuery, options?: CallOptions): Promise<MessagePage> {
    return this.#invoke('listMessages', { ...query, reader }, options);
  }

  /** Sets the one reaction that this person has; gives all reactions of the message. */
  react(
    reactor: Participant,
    target: { conversationId: string; messageId: string },
    emoji: Emoji,
    options?: CallOptions,
  ): Promise<Reaction[]> {
    return this.#invoke('react', { ...target, reactor, emoji }, options);
  }

  /** Removes it. */
  unreact(
    reactor: Participant,
    target: { conversationId: string; messageId: string },
    options?: CallOptions,
  ): Promise<Reaction[]> {
    return this.#invoke('unreact', { ...target, reactor }, options);
  }

  /** By a client: the advisor's messages are seen. By an advisor: the client's messages are read. */
  mark(viewer: Participant, conversationId: string, options?: CallOptions): Promise<Marked> {
    return this.#invoke('mark', { viewer, conversationId }, options);
  }

  // ---- Chat tokens ----

  /** A token with which a client uses the chat without an account. */
  issueToken(grant: TokenGrant, options?: CallOptions): Promise<IssuedToken> {
    return this.#invoke('issueToken', grant, options);
  }

  /** Rejects with `unauthenticated`. */
  authenticateToken(token: string, options?: CallOptions): Promise<TokenClaims> {
    return this.#invoke('authenticateToken', { token }, options);
  }

  /** Whether it was there. */
  revokeToken(token: string, options?: CallOptions): Promise<boolean> {
    return this.#invoke('revokeToken', { token }, options);
  }

  /** Deletes expired tokens now; how many there were. */
  sweepTokens(options?: CallOptions): Promise<number> {
    return this.#invoke('sweepTokens', {}, options);
  }

  // ---- Listening ----

  /**
   * `for await (const event of engine.subscribe(id, { since }))`: first the typing state, then (with `since`) what was
   * missed, then everything live, without a gap and nothing twice. Leaving the loop ends it. The caller has checked that
   * whoever listens may.
   */
  subscribe(conversationId: string, options: SubscribeOptions = {}): Subscription<ChatEvent> {
    const { since, as, maxQueued = 10_000, signal } = options;
    const participant = as ?? { orgId: '-', role: 'advisor', id: '-' };
    return new Subscription(this.#native, { conversationId, since, participant, maxQueued }, signal);
  }

  /** Every change of an organization's list of conversations, in the same way. */
  subscribeInbox(
    orgId: string,
    options: Omit<SubscribeOptions, 'since' | 'as'> = {},
  ): Subscription<InboxEvent> {
    const { maxQueued = 10_000, signal } = options;
    return new Subscription(this.#native, { orgId, maxQueued }, signal);
  }

  /**
   * Says that somebody may have changed a conversation past the engine, in the PostgreSQL database or the tables of a
   * storage in JavaScript: listeners get at once what they would else get within `pollInterval`. Returns at once; without
   * effect on a conversation that does not exist, and on storages that nobody else writes to.
   */
  refresh(conversationId: string): void {
    callNative(() => this.#native.refresh(conversationId));
  }

  // ---- Its own ----

  /** A cheap read, for a readiness probe. */
  ping(options?: CallOptions): Promise<true> {
    return this.#invoke('ping', {}, options);
  }

  /** Prometheus text, once `chatRoutes` or `setupWebSocket` was called. */
  metrics(): string {
    return callNative(() => this.#native.metrics());
  }

  /** Running counts, and gauges of now. */
  stats(): EngineStats {
    return JSON.parse(this.#native.stats()) as EngineStats;
  }

  /**
   * Takes no more work, carries out what was accepted, closes sockets with 1012 and ends every subscription with
   * `closed`. Sockets that do not go within `graceMs` are cut.
   */
  close(graceMs = 4_000): Promise<void> {
    this.#closing ??= new Promise((resolve, reject) => {
      callNative(() => this.#native.close(graceMs, (error) => (error === null ? resolve() : reject(error))));
    });
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #invoke<T>(name: string, args: object, options: CallOptions = {}): Promise<T> {
    const { signal } = options;
    signal?.throwIfAborted();
    const json = await new Promise<string>((resolve, reject) => {
      const abort = () => reject(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      callNative(() =>
        this.#native.invoke(name, args, (error, text) => {
          signal?.removeEventListener('abort', abort);
          if (error === null) resolve(text as string);
          else reject(new ChatError(error as ErrorCode));
        }),
      );
    });
    return JSON.parse(json) as T;
  }
}

/**
 * One listener. Events gather natively and come to JavaScript all at once; a reader that is too slow loses the
 * subscription and nothing else (`too_slow`: subscribe again with `since`).
 */
export class Subscription<E> implements AsyncIterableIterator<E> {
  /** Resolves once it listens; rejects when it never will. */
  readonly opened: Promise<void>;
  #listener: NativeListener | undefined;
  #events: E[] = [];
  #next = 0;
  #waiting: { resolve(result: IteratorResult<E>): void; reject(error: unknown): void }[] = [];
  #ended: { error?: unknown } | undefined;
  #holds = false;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = () => this.#end({ error: this.#signal?.reason });

  /** @internal */
  constructor(native: NativeEngine, args: object, signal: AbortSignal | undefined) {
    this.#signal = signal;
    if (signal?.aborted === true) this.#ended = { error: signal.reason };
    signal?.addEventListener('abort', this.#abort, { once: true });
    this.opened = new Promise<void>((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended.error);
        return;
      }
      callNative(() =>
        native.subscribe(args, () => this.#pump(), (error, listener) => {
          if (error !== null) {
            reject(new ChatError(error as ErrorCode));
          } else if (this.#ended !== undefined) {
            listener.close();
            resolve();
          } else {
            this.#listener = listener;
            resolve();
            this.#pump();
          }
        }),
      );
    });
    this.opened.catch((error: unknown) => this.#end({ error: asChatError(error) }));
  }

  /** Says that `as` types or has stopped; repeat it while typing goes on. */
  setTyping(isTyping: boolean): void {
    this.#listener?.setTyping(isTyping);
  }

  /** The next event; the rejection says once why nothing more comes. */
  next(): Promise<IteratorResult<E>> {
    if (this.#next === this.#events.length && this.#ended === undefined) this.#fill();
    if (this.#next < this.#events.length) {
      return Promise.resolve({ done: false, value: this.#events[this.#next++] as E });
    }
    if (this.#ended !== undefined) {
      const { error } = this.#ended;
      this.#ended = {};
      return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error);
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#keepAlive();
    });
  }

  /** Ends it: what was not taken is dropped. */
  return(): Promise<IteratorResult<E>> {
    this.#events = [];
    this.#next = 0;
    this.#end({});
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  // Takes what is there; the addon wakes us when there was nothing.
  #fill(): void {
    const taken = this.#listener?.take();
    if (taken === undefined || taken === null) return;
    if (taken.startsWith('!')) {
      this.#end({ error: new ChatError(taken.slice(1) as ErrorCode) });
      return;
    }
    this.#events = JSON.parse(taken) as E[];
    this.#next = 0;
  }

  #pump(): void {
    while (this.#waiting.length > 0) {
      if (this.#next === this.#events.length) this.#fill();
      if (this.#next === this.#events.length || this.#waiting.length === 0) break;
      this.#waiting.shift()?.resolve({ done: false, value: this.#events[this.#next++] as E });
    }
    this.#keepAlive();
  }

  #end(how: { error?: unknown }): void {
    if (this.#ended !== undefined) return;
    this.#ended = how;
    this.#signal?.removeEventListener('abort', this.#abort);
    this.#listener?.close();
    this.#listener = undefined;
    for (const [index, { resolve, reject }] of this.#waiting.splice(0).entries()) {
      if (index === 0 && how.error !== undefined) {
        this.#ended = {};
        reject(how.error);
      } else {
        resolve({ done: true, value: undefined });
      }
    }
    this.#keepAlive();
  }

  // Whoever waits for an event keeps the process alive.
  #keepAlive(): void {
    const holds = this.#waiting.length > 0;
    if (holds === this.#holds) return;
    this.#holds = holds;
    if (holds) addon().hold();
    else addon().release();
  }
}
