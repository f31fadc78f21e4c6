import type * as wire from './wire';

/** Who acts. */
export type Role = wire.Role;

/**
 * Whoever acts on a conversation, as the application has authenticated them. An advisor reaches every conversation of
 * the organization, a client those in which they are a member: their own, and those to which they were added. For others
 * it answers as if the conversation did not exist.
 */
export interface Participant {
  orgId: string;
  role: Role;
  id: string;
  /** For people; stored beside what they write. */
  name?: string;
}

/** The six reactions. */
export type Emoji = wire.Emoji;

/** One person's reaction to one message. Times are RFC 3339 in UTC with milliseconds. */
export type Reaction = wire.Reaction;

/** One message of a conversation. Times are RFC 3339 in UTC with milliseconds, as all times that come from here. */
export type Message = wire.Message;

/** What an organization and one of its clients have said: there is one for each pair. */
export interface Conversation extends wire.Conversation, Pick<wire.ConversationRow, 'unreadCount' | 'rev'> {
  /** `seq` of the newest message; 0 when there is none. */
  lastSeq: number;
}

/** A row of an advisor's list: with the newest message, without its reactions. */
export interface ConversationSummary extends Conversation, Pick<wire.ConversationRow, 'lastMessage'> {}

/** Somebody in a conversation, and how far they have come in it. */
export interface Member {
  type: Role;
  id: string;
  /** As it was when they were last seen; empty: not known. */
  name: string;
  /** Every message up to this `seq` has reached them. */
  deliveredSeq: number;
  /** Every message up to this `seq` they have seen; `deliveredSeq` is never less. */
  seenSeq: number;
}

/** What happens in a conversation, in the words of the wire. */
export type ChatEvent = Exclude<wire.ConversationEvent, wire.AliveEvent | wire.ErrorEvent>;

/** What happens to an organization's list of conversations. `resync`: changes were left out, so load the list again. */
export type InboxEvent =
  | (Omit<wire.ConversationUpdateEvent, 'conversation'> & { conversation: ConversationSummary })
  | wire.ResyncEvent;

/** What a message says. The same `clientMessageId` again gives the first message instead of a second one. */
export interface Draft extends wire.Draft {
  conversationId: string;
  attachmentUrl?: string;
  attachmentType?: string;
  attachmentName?: string;
}

/** Which messages: the newest `limit`, or those before a `seq`, or those changed after a `rev`. */
export interface MessageQuery {
  conversationId: string;
  before?: number;
  /** `too_many_changes` when the page would have more than 1,000 messages, as those of one `rev` stay together. */
  since?: number;
  /** The epoch that the caller's copy is of: `epoch_changed` when it is not the storage's any more. */
  epoch?: string;
  /** 1 to 200; 100 when left out. */
  limit?: number;
}

/** Messages by `seq`; `hasMore`: there are others beyond this page. */
export interface MessagePage {
  messages: Message[];
  hasMore: boolean;
  /**
   * Which history this is: made with the storage and made anew after a restore. What was read in another epoch does not
   * fit. Absent: the storage keeps none.
   */
  epoch?: string;
}

/** What became of a message that was sent. */
export interface Sent {
  message: Message;
  /** False: an earlier request with this `clientMessageId` stored it. */
  created: boolean;
}

/** What became of a mark: seen, by a client; read, by an advisor. */
export interface Marked {
  at: string;
  /** How many messages it changed. */
  count: number;
  rev: number;
}

/** What a chat token is good for. */
export interface TokenGrant {
  orgId: string;
  clientId: string;
  tripId: string;
  conversationId: string;
  /**
   * The share link's, when the token is for whoever has the link: it is refused once the trip is no longer shared by this
   * very link. Left out: the application's own, which ends by its time or by being revoked. Named and nothing: a TypeError.
   */
  shareToken?: string;
}

/** Whose a token is, and until when. */
export interface TokenClaims extends Omit<TokenGrant, 'shareToken'> {
  expiresAt: string;
}

/** The tokens of a client, of a trip, or of a client for a trip. A `clientId` or `tripId` that is nothing is a TypeError. */
export type TokenFilter = { orgId: string } & (
  | { clientId: string; tripId?: string }
  | { clientId?: string; tripId: string }
);

/** A chat token. It is told once: only its SHA-256 is stored. */
export interface IssuedToken {
  /** 64 hexadecimal characters. */
  token: string;
  expiresAt: string;
}

/** How the engine works; every option has the default of docs/library.md. */
export interface EngineOptions {
  /** I/O threads; 0: one for each processor. */
  shards?: number;
  readers?: number;
  maxQueuedWrites?: number;
  maxQueuedReads?: number;
  maxBatch?: number;
  maxReplay?: number;
  maxReplayBacklog?: number;
  /** Milliseconds, as all times here. */
  typingTimeout?: number;
  tokenLifetime?: number;
  maxLiveTokens?: number;
  tokenCacheEntries?: number;
  tokenCacheLifetime?: number;
  sweepInterval?: number;
  /** Changes of a conversation's newest revisions that are kept for resuming listeners. 0: all. 1,000 when left out. */
  maxKeptChanges?: number;
  /** How long they are kept at the most: milliseconds, whole hours. 0: for ever. 30 days when left out. */
  maxChangeAge?: number;
  /**
   * How often what listeners were told is compared with a storage that others write to (PostgreSQL, one in JavaScript).
   * 5,000 when left out.
   */
  pollInterval?: number;
  /**
   * How often a storage that failed is asked what became of the writes in question, on the storages where nobody else
   * writes. 1,000 when left out.
   */
  pollIntervalDown?: number;
  /**
   * How often it is looked whether the chat tokens that listeners rest on are still there, on the same storages. 3,000 when
   * left out.
   */
  credentialCheckInterval?: number;
  /**
   * Told of what no caller is told: a storage that failed, an answer that was not taken. Called on the event loop; what
   * it throws becomes a process warning. Left out: nobody is told.
   */
  log?: (record: LogRecord) => void;
}

/** What the engine tells an operator; docs/library.md lists the events. Never a message's content or a credential. */
export interface LogRecord {
  level: 'debug' | 'info' | 'warning' | 'error';
  event: string;
  /** What was being done. */
  subject: string;
  /** An error's name, or what was thrown. */
  detail: string;
}

/** Counts since the engine was made; `queuedWrites`, `subscribers` and `rooms` are gauges of now. */
export interface EngineStats {
  messages: number;
  commits: number;
  writes: number;
  failedCommits: number;
  deliveries: number;
  queuedWrites: number;
  subscribers: number;
  rooms: number;
  /** Times that a conversation's listeners were told from the storage what they had missed. */
  catchUps: number;
}

/** For operations that somebody may stop waiting for. What was accepted is carried out all the same. */
export interface CallOptions {
  signal?: AbortSignal;
}

/** At once, or later. */
export type MaybePromise<T> = T | Promise<T>;
