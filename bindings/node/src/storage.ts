import type { Answer } from './addon';
import { ChatError, codeOf, warn, type ErrorCode } from './errors';
import type { Emoji, MaybePromise, Message, Participant, Reaction, TokenClaims } from './types';

/** A storage that comes with the package. */
export interface BuiltInStorage {
  readonly kind: 'memory' | 'sqlite' | 'postgres';
}

/** Forgets everything when the engine is closed. */
export function memory(): BuiltInStorage {
  return { kind: 'memory' };
}

/** One SQLite file, which one process owns. */
export interface SqliteOptions {
  /** Created when absent; its folder must exist. On a local disk. */
  path: string;
  maxReaders?: number;
  checkpointBytes?: number;
}

/** One process owns the file: a second engine on it is refused with `storage_locked`. */
export function sqlite(options: SqliteOptions): BuiltInStorage {
  if (typeof options?.path !== 'string') throw new TypeError('sqlite: path must be a string');
  return { ...options, kind: 'sqlite' } as BuiltInStorage;
}

/** One PostgreSQL database (13 or newer), which any number of processes may share. */
export interface PostgresOptions {
  /**
   * `postgres://user:password@host:port/database`; what is not in it comes from libpq's environment (`PGHOST`,
   * `PGPASSFILE` …). The tables are looked for along its `search_path`. A pooler in between must pool sessions.
   */
  url: string;
  /** Connections that commit at once. 4 when left out. */
  lanes?: number;
  /** Reading connections, opened when first needed. 4 when left out. */
  maxReaders?: number;
  /** How long a commit waits for a database that has gone away, or for others' locks: milliseconds, 2,000 when left out. */
  patience?: number;
  /** How long the constructor of the engine waits for the database: milliseconds, 5,000 when left out. */
  connectTimeout?: number;
  /** Told about migrations, lost connections and why a transaction failed. No line holds a password. */
  log?: (line: string) => void;
}

/**
 * Makes or adopts the tables of a Travel Lab host. The constructor of the engine connects and migrates before it
 * returns; what it refuses has a `cause` that says why in words for an operator. Needs the system's libpq (`libpq5`).
 */
export function postgres(options: PostgresOptions): BuiltInStorage {
  if (typeof options?.url !== 'string') throw new TypeError('postgres: url must be a string');
  return { ...options, kind: 'postgres' } as BuiltInStorage;
}

// ---- A storage of one's own ----

/** A time as a storage gives it. */
export type Time = Date | number | string;

/** A row as a storage gives it. */
export interface StoredConversation {
  id: string;
  orgId: string;
  clientId: string;
  createdAt: Time;
  lastMessageAt: Time | null;
  /** `seq` of the newest message; 0 when there is none. */
  lastSeq: number;
  rev: number;
  unreadCount: number;
}

/** A row as a storage gives it. */
export type StoredReaction = Omit<Reaction, 'createdAt'> & { createdAt: Time };

/** A row as a storage gives it. */
export type StoredMessage = Omit<Message, 'createdAt' | 'seenAt' | 'reactions'> & {
  createdAt: Time;
  seenAt: Time | null;
  reactions?: StoredReaction[];
};

/**
 * One command of a transaction, with every id and time already in it. `include/travelchat/storage.hpp` says what each has
 * to do; the conformance suite says whether a storage does.
 */
export type Write =
  | { kind: 'openConversation'; conversationId: string; orgId: string; clientId: string; now: string }
  | {
      kind: 'appendMessage';
      messageId: string;
      conversationId: string;
      sender: Required<Participant>;
      content: string;
      clientMessageId: string | null;
      attachmentUrl: string | null;
      attachmentType: string | null;
      attachmentName: string | null;
      now: string;
    }
  | {
      kind: 'putReaction';
      reactionId: string;
      conversationId: string;
      messageId: string;
      reactor: Required<Participant>;
      /** null: removes it. */
      emoji: Emoji | null;
      now: string;
    }
  | { kind: 'markConversation'; conversationId: string; viewer: Required<Participant>; now: string }
  /** `digest`: the token's SHA-256 in hexadecimal; the token itself is never told. */
  | { kind: 'putToken'; digest: string; claims: TokenClaims; now: string; maxLive: number }
  | { kind: 'deleteToken'; digest: string }
  | { kind: 'sweepTokens'; now: string };

/** What a command brought, or why it failed alone. */
export type Written =
  | { error: ErrorCode }
  | {
      changed: boolean;
      conversation?: StoredConversation;
      message?: StoredMessage;
      reactions?: StoredReaction[];
      lastMessage?: StoredMessage | null;
      count?: number;
      evicted?: string[];
    };

/** A durable change: a message or its reactions stand in it as they are now. */
export type StoredChange =
  | { kind: 'message'; rev: number; message: StoredMessage }
  | { kind: 'reaction'; rev: number; messageId: string; reactions: StoredReaction[] }
  | { kind: 'seen' | 'read'; rev: number; at: Time };

/**
 * Where conversations live, in JavaScript: for an application that keeps its own tables. `commit` is called once at a
 * time, the reads several at once. Each may give a value or a promise. What throws a `ChatError` fails with its code.
 * Anything else that is thrown, and an answer of the wrong shape, is `storage_failed` and becomes a process warning.
 */
export interface ChatStorage {
  /** Runs all writes in one transaction, in order, and ends once it is durable. One answer for each write. */
  commit(writes: Write[]): MaybePromise<Written[]>;
  findConversation(conversationId: string): MaybePromise<StoredConversation | null | undefined>;
  listConversations(query: {
    orgId: string;
    text: string | null;
    clientIds: string[];
  }): MaybePromise<(StoredConversation & { lastMessage?: StoredMessage | null })[]>;
  listMessages(query: {
    conversationId: string;
    beforeSeq?: number;
    sinceRev?: number;
    limit: number;
  }): MaybePromise<{ messages: StoredMessage[]; hasMore: boolean }>;
  /** Throws `ChatError('not_found')` when there is no such conversation. */
  listChanges(query: {
    conversationId: string;
    sinceRev: number;
    limit: number;
  }): MaybePromise<{ currentRev: number; tooMany: boolean; changes: StoredChange[] }>;
  listRevisions(query: {
    conversationIds: string[];
    orgIds: string[];
  }): MaybePromise<{ conversations: number[]; organizations: number[] }>;
  countUnread(orgId: string): MaybePromise<number>;
  findToken(digest: string, now: string): MaybePromise<TokenClaimsRow | null | undefined>;
  ping?(): MaybePromise<void>;
}

/** What a storage keeps for a token's digest. */
export type TokenClaimsRow = Omit<TokenClaims, 'expiresAt'> & { expiresAt: Time };

const required = [
  'commit', 'findConversation', 'listConversations', 'listMessages', 'listChanges', 'listRevisions', 'countUnread',
  'findToken',
] as const;

/** @internal What the addon is given for a storage. */
export function toNativeStorage(storage: BuiltInStorage | ChatStorage): object {
  if (typeof storage !== 'object' || storage === null) throw new TypeError('storage must be an object');
  if ('kind' in storage) return storage;
  for (const name of required) {
    if (typeof storage[name] !== 'function') throw new TypeError(`storage.${name} must be a function`);
  }
  return { kind: 'javascript', call: (method: string, json: string, answer: Answer) => call(storage, method, json, answer) };
}

/** @internal */
export function call(storage: ChatStorage, method: string, json: string, answer: Answer): void {
  void (async () => {
    let value: unknown;
    try {
      value = await run(storage, method, JSON.parse(json));
    } catch (error) {
      answer(codeOf(error, 'storage_failed'));
      if (!(error instanceof ChatError)) warn(error);
      return;
    }
    try {
      answer(null, value);
    } catch (error) {
      // It names a value of the wrong type.
      warn(error);
    }
  })();
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
function run(storage: ChatStorage, method: string, query: any): unknown {
  switch (method) {
    case 'commit':
      return storage.commit(query);
    case 'findConversation':
      return storage.findConversation(query.id);
    case 'listConversations':
      return storage.listConversations(query);
    case 'listMessages':
      return storage.listMessages(query);
    case 'listChanges':
      return storage.listChanges(query);
    case 'listRevisions':
      return storage.listRevisions(query);
    case 'countUnread':
      return storage.countUnread(query.orgId);
    case 'findToken':
      return storage.findToken(query.digest, query.now);
    case 'ping':
      return storage.ping?.();
    default:
      throw new ChatError('internal');
  }
}
