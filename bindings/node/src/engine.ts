import { addon, type NativeEngine, type NativeListener } from './addon';
import { asChatError, callNative, outcomeError, warn } from './errors';
import {
  anyFunction, check, isObject, milliseconds, mustBe, optional, refuseNullish, refuseUnknown, requireObject, whole, type Check,
} from './options';
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
  LogRecord,
  Marked,
  MessagePage,
  MessageQuery,
  Participant,
  Reaction,
  Sent,
  TokenClaims,
  TokenFilter,
  TokenGrant,
} from './types';
import { draftMembers } from './wire';

const natives = new WeakMap<ChatEngine, NativeEngine>();

const atLeastOne = whole(1);

// More threads than this are a mistake, and need more memory than there is.
const threads = whole(0, 1_024);

const optionChecks: Record<keyof EngineOptions, Check> = {
  shards: optional(threads),
  readers: optional(threads),
  maxQueuedWrites: optional(whole(1)),
  maxQueuedReads: optional(whole(1)),
  maxBatch: optional(whole(0)),
  maxReplay: optional(whole(0)),
  maxReplayBacklog: optional(whole(0)),
  typingTimeout: optional(milliseconds()),
  tokenLifetime: optional(milliseconds()),
  maxLiveTokens: optional(whole(1)),
  tokenCacheEntries: optional(whole(0)),
  tokenCacheLifetime: optional(milliseconds()),
  // The engine counts whole seconds: a fraction of one would become 0, which means never.
  sweepInterval: optional((value, name, from) => {
    if (value !== 0) milliseconds(1_000)(value, name, from);
  }),
  maxKeptChanges: optional(whole(0)),
  maxChangeAge: optional(milliseconds()),
  pollInterval: optional(milliseconds(1)),
  pollIntervalDown: optional(milliseconds(1)),
  credentialCheckInterval: optional(milliseconds(1)),
  log: optional(anyFunction),
};

function toNativeLog(log: (record: LogRecord) => void) {
  return (level: LogRecord['level'], event: string, subject: string, detail: string): void => {
    try {
      log({ level, event, subject, detail });
    } catch (error) {
      warn(error);
    }
  };
}

type Names<T> = Record<keyof T, true>;

const callOptions: Names<CallOptions> = { signal: true };
const subscribeOptions: Names<SubscribeOptions> = { since: true, epoch: true, as: true, maxQueued: true, signal: true };
const inboxOptions: Names<InboxSubscribeOptions> = { maxQueued: true, signal: true };

const participant: Names<Participant> = { orgId: true, role: true, id: true, name: true };
const reactionTarget: Names<ReactionTarget> = { conversationId: true, messageId: true };

/** What an operation is called with, before its options. */
interface Operation {
  /** The whole of it. */
  usage: string;
  /** The full name of the participant, which comes first. */
  who?: string;
  /** The full name of the object that comes next. */
  object?: string;
  /** The names that it may have: a misspelt one must not pass for one that was left out. */
  members?: object;
  /** Of these, the ones whose absence widens the operation (to tokens that outlive their link, to more tokens). */
  narrowing?: string[];
  /** Names that are separate arguments, not members, and which argument each is. */
  misplaced?: Record<string, string>;
}

const operations: Record<string, Operation> = {
  listConversations: {
    usage: 'listConversations(query)',
    object: 'listConversations.query',
    members: { orgId: true, text: true, clientIds: true } satisfies Names<ConversationQuery>,
  },
  send: {
    usage: 'send(sender, draft)',
    who: 'send.sender',
    object: 'send.draft',
    members: {
      ...draftMembers, conversationId: true, attachmentUrl: true, attachmentType: true, attachmentName: true,
    } satisfies Names<Draft>,
    misplaced: { sender: 'it is the first argument of send(sender, draft)' },
  },
  listMessages: {
    usage: 'listMessages(reader, query)',
    who: 'listMessages.reader',
    object: 'listMessages.query',
    members: { conversationId: true, before: true, since: true, epoch: true, limit: true } satisfies Names<MessageQuery>,
    misplaced: { reader: 'it is the first argument of listMessages(reader, query)' },
  },
  react: {
    usage: 'react(reactor, target, emoji)',
    who: 'react.reactor',
    object: 'react.target',
    members: reactionTarget,
    misplaced: {
      reactor: 'it is the first argument of react(reactor, target, emoji)',
      emoji: 'it is the third argument of react(reactor, target, emoji)',
    },
  },
  unreact: {
    usage: 'unreact(reactor, target)',
    who: 'unreact.reactor',
    object: 'unreact.target',
    members: reactionTarget,
    misplaced: { reactor: 'it is the first argument of unreact(reactor, target)' },
  },
  mark: { usage: 'mark(viewer, conversationId)', who: 'mark.viewer' },
  issueToken: {
    usage: 'issueToken(grant)',
    object: 'issueToken.grant',
    members: { orgId: true, clientId: true, tripId: true, conversationId: true, shareToken: true } satisfies Names<TokenGrant>,
    narrowing: ['shareToken' satisfies keyof TokenGrant],
  },
  revokeTokens: {
    usage: 'revokeTokens(filter)',
    object: 'revokeTokens.filter',
    members: { orgId: true, clientId: true, tripId: true } satisfies Names<TokenFilter>,
    narrowing: ['clientId', 'tripId'] satisfies (keyof TokenFilter)[],
  },
};

function checkParticipant(who: object, name: string): void {
  refuseUnknown(who, name, participant);
  if ((who as Participant).name === null) throw new TypeError(`${name}.name must be a string, or be left out, not null`);
}

function checkArguments(name: string, operation: Operation, who: unknown, given: unknown): void {
  if (operation.who !== undefined) {
    requireObject(who, operation.who, operation.usage);
    checkParticipant(who as object, operation.who);
  }
  if (operation.object === undefined) return;
  requireObject(given, operation.object, operation.usage);
  refuseUnknown(given as object, name, operation.members as object, operation.misplaced);
  if (operation.narrowing !== undefined) refuseNullish(given as object, name, ...operation.narrowing);
}

function checkOptions(options: CallOptions, name: string, known: object): void {
  mustBe(isObject(options), options, `${name}.options`, 'an object');
  refuseUnknown(options, name, known);
  const { signal } = options;
  mustBe(signal === undefined || signal instanceof AbortSignal, signal, `${name}.signal`, 'an AbortSignal');
}

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
  /** The epoch that `since` is of, as a page or an event has told it: another one than the storage's gives `resync`. */
  epoch?: string;
  /**
   * Who listens: their rights are checked (`not_found` where they may not read the conversation), and `setTyping`
   * reports their typing. Left out: a program of the application's own, which may read every conversation and reports
   * no typing. Given as `undefined` or `null`: a TypeError.
   */
  as?: Participant;
  /** Events that may wait; one more, and they become one `resync`. 10,000 when left out. */
  maxQueued?: number;
}

/** How a listener to an inbox listens. */
export type InboxSubscribeOptions = Omit<SubscribeOptions, 'since' | 'epoch' | 'as'>;

interface ConversationQuery {
  orgId: string;
  text?: string;
  clientIds?: string[];
}

interface ReactionTarget {
  conversationId: string;
  messageId: string;
}

/**
 * The chat engine: every use case of a conversation, over any storage, for any number of listeners. Its threads are its
 * own, and nothing here blocks the event loop. An operation that fails rejects with a `ChatError`; an argument of the
 * wrong type, with a member that there is not, or with text that is not well-formed, with a `TypeError`.
 */
export class ChatEngine {
  readonly #native: NativeEngine;
  #closing: Promise<void> | undefined;

  /**
   * Opens the storage, before it returns. Throws `storage_locked`, `storage_incompatible`, `storage_full`,
   * `storage_failed` or `invalid_argument` (a URL that is none); where more is known, `cause` says it to an operator.
   */
  constructor(storage: BuiltInStorage | ChatStorage, options: EngineOptions = {}) {
    const nativeStorage = toNativeStorage(storage);
    check(options, 'options', optionChecks);
    const { log, ...rest } = options;
    const native = log === undefined ? rest : { ...rest, log: toNativeLog(log) };
    this.#native = callNative(() => new (addon().Engine)(nativeStorage, native));
    natives.set(this, this.#native);
  }

  // ---- Conversations ----

  /** The conversation of this organization with this client, made when there is none. */
  openConversation(orgId: string, clientId: string, options?: CallOptions): Promise<Conversation> {
    return this.#invoke('openConversation', { orgId, clientId }, options);
  }

  /** Rejects with `not_found`. For a caller that checks itself who may see it. */
  findConversation(conversationId: string, options?: CallOptions): Promise<Conversation> {
    return this.#invoke('findConversation', { conversationId }, options);
  }

  /** Newest activity first. `text` is looked for in messages; a conversation with one of `clientIds` matches too. */
  listConversations(query: ConversationQuery, options?: CallOptions): Promise<ConversationSummary[]> {
    return this.#invoke('listConversations', query, options, undefined, query);
  }

  /** Clients' messages in the organization that no advisor has read. */
  countUnread(orgId: string, options?: CallOptions): Promise<number> {
    return this.#invoke('countUnread', { orgId }, options);
  }

  // ---- Messages ----

  /** Stores and broadcasts a message; resolves once it is on disk. */
  send(sender: Participant, draft: Draft, options?: CallOptions): Promise<Sent> {
    return this.#invoke('send', { ...draft, sender }, options, sender, draft);
  }

  /** By `seq`. */
  listMessages(reader: Participant, query: MessageQuery, options?: CallOptions): Promise<MessagePage> {
    return this.#invoke('listMessages', { ...query, reader }, options, reader, query);
  }

  /** Sets the one reaction that this person has; gives all reactions of the message. */
  react(reactor: Participant, target: ReactionTarget, emoji: Emoji, options?: CallOptions): Promise<Reaction[]> {
    return this.#invoke('react', { ...target, reactor, emoji }, options, reactor, target);
  }

  /** Removes it. */
  unreact(reactor: Participant, target: ReactionTarget, options?: CallOptions): Promise<Reaction[]> {
    return this.#invoke('unreact', { ...target, reactor }, options, reactor, target);
  }

  /** By a client: the advisor's messages are seen. By an advisor: the client's messages are read. */
  mark(viewer: Participant, conversationId: string, options?: CallOptions): Promise<Marked> {
    return this.#invoke('mark', { viewer, conversationId }, options, viewer);
  }

  // ---- Chat tokens ----

  /** A token with which a client uses the chat without an account. */
  issueToken(grant: TokenGrant, options?: CallOptions): Promise<IssuedToken> {
    return this.#invoke('issueToken', grant, options, undefined, grant);
  }

  /** Rejects with `unauthenticated`. */
  authenticateToken(token: string, options?: CallOptions): Promise<TokenClaims> {
    return this.#invoke('authenticateToken', { token }, options);
  }

  /** Ends a token, and closes whoever listens by it with 4401, on every node. Whether it was there. */
  revokeToken(token: string, options?: CallOptions): Promise<boolean> {
    return this.#invoke('revokeToken', { token }, options);
  }

  /** The same for all tokens of a client, of a trip, or of a client for a trip; how many there were. */
  revokeTokens(filter: TokenFilter, options?: CallOptions): Promise<number> {
    return this.#invoke('revokeTokens', filter, options, undefined, filter);
  }

  /**
   * Says that a session of the application's has ended (`Advisor.sessionId`): its open sockets are closed with 4401, here at
   * once and on other nodes as soon as they hear of it. Returns at once.
   */
  endSession(sessionId: string): void {
    callNative(() => this.#native.endSession(sessionId));
  }

  /** Deletes expired tokens now; how many there were. */
  sweepTokens(options?: CallOptions): Promise<number> {
    return this.#invoke('sweepTokens', {}, options);
  }

  /** Deletes changes beyond `maxKeptChanges` and `maxChangeAge` now, and says how many. */
  pruneChanges(options?: CallOptions): Promise<number> {
    return this.#invoke('pruneChanges', {}, options);
  }

  /**
   * To be called once after the storage was restored from a backup: every listener gets `resync`. Gives the new epoch;
   * `not_found`: the storage keeps none.
   */
  beginEpoch(options?: CallOptions): Promise<string> {
    return this.#invoke('beginEpoch', {}, options);
  }

  // ---- Listening ----

  /**
   * `for await (const event of engine.subscribe(id, { since }))`: first the typing state, then (with `since`) what was
   * missed, then everything live, without a gap and nothing twice. Leaving the loop ends it. Rejects with `not_found`
   * when there is no such conversation, or `as` may not read it; without `as` nobody's rights are checked.
   */
  subscribe(conversationId: string, options: SubscribeOptions = {}): Subscription<ChatEvent> {
    checkOptions(options, 'subscribe', subscribeOptions);
    refuseNullish(options, 'subscribe', 'as');
    const { since, epoch, as, maxQueued = 10_000, signal } = options;
    if (isObject(as)) checkParticipant(as, 'subscribe.as');
    atLeastOne(maxQueued, 'subscribe.maxQueued', options);
    return new Subscription(this.#native, { conversationId, since, epoch, as, maxQueued }, signal);
  }

  /** Every change of an organization's list of conversations, in the same way. */
  subscribeInbox(orgId: string, options: InboxSubscribeOptions = {}): Subscription<InboxEvent> {
    checkOptions(options, 'subscribeInbox', inboxOptions);
    const { maxQueued = 10_000, signal } = options;
    atLeastOne(maxQueued, 'subscribeInbox.maxQueued', options);
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
    return JSON.parse(callNative(() => this.#native.stats())) as EngineStats;
  }

  /**
   * Takes no more work, carries out what was accepted, closes sockets with 1012 and ends every subscription with
   * `closed`. Sockets that do not go within `graceMs` are cut.
   */
  close(graceMs = 4_000): Promise<void> {
    // The longest time of a Node timer.
    mustBe(typeof graceMs === 'number' && graceMs >= 0 && graceMs <= 2 ** 31 - 1, graceMs, 'close.graceMs', 'a number of milliseconds');
    this.#closing ??= new Promise((resolve, reject) => {
      callNative(() => this.#native.close(graceMs, (error) => (error === null ? resolve() : reject(error))));
    });
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // `who` and `given`: the participant and the object that the caller has given, where the operation has one.
  async #invoke<T>(name: string, args: object, options: CallOptions = {}, who?: unknown, given?: unknown): Promise<T> {
    const operation = operations[name];
    if (operation !== undefined) checkArguments(name, operation, who, given);
    checkOptions(options, name, callOptions);
    const { signal } = options;
    signal?.throwIfAborted();
    const json = await new Promise<string>((resolve, reject) => {
      const abort = () => reject(signal?.reason);
      signal?.addEventListener('abort', abort, { once: true });
      callNative(() =>
        this.#native.invoke(name, args, (error, text) => {
          signal?.removeEventListener('abort', abort);
          if (error === null) resolve(text as string);
          else reject(outcomeError(error));
        }),
      );
    });
    return JSON.parse(json) as T;
  }
}

/**
 * One listener. Events gather natively and come to JavaScript all at once. A reader that falls further behind than
 * `maxQueued` gets one `resync` for all that waited (load the conversation or the list again), and what comes later.
 */
export class Subscription<E> implements AsyncIterableIterator<E> {
  /** Resolves once it listens; rejects when it never will. */
  readonly opened: Promise<void>;
  #listener: NativeListener | undefined;
  #events: E[] = [];
  #next = 0;
  #waiting: { resolve(result: IteratorResult<E>): void; reject(error: unknown): void }[] = [];
  #ended: { error?: unknown } | undefined;
  #isHeld = false;
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
        native.subscribe(args, () => this.#deliver(), (error, listener) => {
          if (error !== null) {
            reject(outcomeError(error));
          } else if (this.#ended !== undefined) {
            listener.close();
            resolve();
          } else {
            this.#listener = listener;
            resolve();
            this.#deliver();
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

  /** The next event. When the subscription has failed, one call rejects with the reason. */
  next(): Promise<IteratorResult<E>> {
    if (this.#next === this.#events.length && this.#ended === undefined) this.#takeEvents();
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

  // Takes the events that have gathered. Where there are none, the addon calls #deliver when the next one comes.
  #takeEvents(): void {
    const taken = this.#listener?.take();
    if (taken === undefined || taken === null) return;
    if (taken.startsWith('!')) {
      this.#end({ error: outcomeError(taken.slice(1)) });
      return;
    }
    this.#events = JSON.parse(taken) as E[];
    this.#next = 0;
  }

  #deliver(): void {
    while (this.#waiting.length > 0) {
      if (this.#next === this.#events.length) this.#takeEvents();
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

  // A pending `next` keeps the process alive.
  #keepAlive(): void {
    const isHeld = this.#waiting.length > 0;
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (isHeld) addon().hold();
    else addon().release();
  }
}
