/** Who acts. */
export type Role = 'advisor' | 'client';

/**
 * Whoever acts on a conversation, as the application has authenticated them. An advisor reaches every conversation of
 * the organization, a client their own; what is out of reach answers as if it did not exist.
 */
export interface Participant {
  orgId: string;
  role: Role;
  id: string;
  /** For people; stored beside what they write. */
  name?: string;
}

/** The six reactions. */
export type Emoji = '❤️' | '👍' | '😂' | '😮' | '😢' | '👎';

/** One person's reaction to one message. Times are RFC 3339 in UTC with milliseconds. */
export interface Reaction {
  id: string;
  messageId: string;
  conversationId: string;
  orgId: string;
  reactorType: Role;
  reactorId: string;
  reactorName: string;
  emoji: Emoji;
  createdAt: string;
}

/** One message of a conversation. Times are RFC 3339 in UTC with milliseconds, as all times that come from here. */
export interface Message {
  id: string;
  conversationId: string;
  orgId: string;
  senderType: Role;
  senderId: string;
  senderName: string;
  content: string;
  /** A client's message: an advisor has read it. */
  isRead: boolean;
  /** An advisor's message: when the client has seen it. */
  seenAt: string | null;
  createdAt: string;
  attachmentUrl: string | null;
  attachmentType: string | null;
  attachmentName: string | null;
  /** Oldest first. */
  reactions: Reaction[];
  /** 1, 2, 3 … in the conversation, without gaps. */
  seq: number;
  /** The conversation's revision that last changed this message. */
  rev: number;
  clientMessageId: string | null;
}

/** What an organization and one of its clients have said: there is one for each pair. */
export interface Conversation {
  id: string;
  orgId: string;
  clientId: string;
  createdAt: string;
  lastMessageAt: string | null;
  unreadCount: number;
  /** Raised by one with every durable change. */
  rev: number;
}

/** A row of an advisor's list. */
export interface ConversationSummary extends Conversation {
  /** Without its reactions. */
  lastMessage: Message | null;
}

/** What happens in a conversation, in the words of the wire. */
export type ChatEvent =
  | { type: 'typing'; advisorTyping: boolean; clientTyping: boolean }
  | { type: 'new_message'; message: Message; rev: number }
  | { type: 'reaction_update'; messageId: string; reactions: Reaction[]; rev: number }
  | { type: 'seen'; seenAt: string; rev: number }
  | { type: 'read'; readAt: string; rev: number }
  | { type: 'caught_up'; rev: number }
  | { type: 'resync'; rev: number };

/** What happens to an organization's list of conversations. */
export type InboxEvent = { type: 'conversation_update'; conversation: ConversationSummary };

/** What a message says. */
export interface Draft {
  conversationId: string;
  content: string;
  /** The same again gives the first message instead of a second one. */
  clientMessageId?: string;
  attachmentUrl?: string;
  attachmentType?: string;
  attachmentName?: string;
}

/** Which messages: the newest `limit`, or those before a `seq`, or those changed after a `rev`. */
export interface MessageQuery {
  conversationId: string;
  before?: number;
  since?: number;
  /** 1 to 200; 100 when left out. */
  limit?: number;
}

/** Messages by `seq`; `hasMore`: there are others beyond this page. */
export interface MessagePage {
  messages: Message[];
  hasMore: boolean;
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
}

/** The same, and until when. */
export interface TokenClaims extends TokenGrant {
  expiresAt: string;
}

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
  /**
   * How often what listeners were told is compared with a storage that others write to (PostgreSQL, one in JavaScript).
   * 5,000 when left out.
   */
  pollInterval?: number;
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
}

/** For operations that somebody may stop waiting for. What was accepted is carried out all the same. */
export interface CallOptions {
  signal?: AbortSignal;
}

/** At once, or later. */
export type MaybePromise<T> = T | Promise<T>;
