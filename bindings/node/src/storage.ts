import type { Answer, NativeDecide } from './addon';
import { ChatError, codeOf, warn } from './errors';
import { anyFunction, check, isObject, kindOf, milliseconds, mustBe, optional, requireObject, whole, type Check } from './options';
import type { Conversation, MaybePromise, Member, Message, Reaction, Role, TokenClaims } from './types';

/** A storage that comes with the package. */
export interface BuiltInStorage {
  readonly kind: 'memory' | 'sqlite' | 'postgres';
}

/** A storage in memory, which is lost when the engine is closed. */
export function memory(...nothing: []): BuiltInStorage {
  const [given] = nothing as unknown[];
  if (given !== undefined) throw new TypeError(`memory() takes no options, and was given ${kindOf(given)}`);
  return { kind: 'memory' };
}

/** One SQLite file, which one process owns. */
export interface SqliteOptions {
  /** Created when absent; its folder must exist. On a local disk. */
  path: string;
  maxReaders?: number;
  checkpointBytes?: number;
  /** Told why a transaction or a read failed. Why the file cannot be opened is the `cause` of the constructor's error. */
  log?: (line: string) => void;
}

// SQLite takes an empty path for a temporary database, libpq an empty URL for the database of the user who runs the process.
const notEmpty: Check = (value, name) =>
  mustBe(typeof value === 'string' && /^[^\0]+$/.test(value), value, name, 'a string that is not empty');

const sqliteChecks: Record<keyof SqliteOptions, Check> = {
  path: notEmpty,
  maxReaders: optional(whole(0, 1_024)),
  checkpointBytes: optional(whole(0)),
  log: optional(anyFunction),
};

/** One process owns the file: a second engine on it is refused with `storage_locked`. */
export function sqlite(options: SqliteOptions): BuiltInStorage {
  requireObject(options, 'storage', "sqlite({ path: 'chat.db' })");
  check(options, 'storage', sqliteChecks);
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

const postgresChecks: Record<keyof PostgresOptions, Check> = {
  url: notEmpty,
  lanes: optional(whole(0, 1_024)),
  maxReaders: optional(whole(0, 1_024)),
  patience: optional(milliseconds()),
  connectTimeout: optional(milliseconds()),
  log: optional(anyFunction),
};

/**
 * Makes or adopts the tables of a Travel Lab host. The constructor of the engine connects and migrates before it
 * returns; what it refuses has a `cause` that says why in words for an operator. Needs the system's libpq (`libpq5`).
 */
export function postgres(options: PostgresOptions): BuiltInStorage {
  requireObject(options, 'storage', "postgres({ url: 'postgres://…' })");
  check(options, 'storage', postgresChecks);
  return { ...options, kind: 'postgres' } as BuiltInStorage;
}

// ---- A storage of one's own ----

/** A time as a storage gives it. */
export type Time = Date | number | string;

/** A row as a storage gives it. */
export interface StoredConversation extends Omit<Conversation, 'createdAt' | 'lastMessageAt'> {
  createdAt: Time;
  lastMessageAt: Time | null;
}

/** A row as a storage gives it. */
export type StoredReaction = Omit<Reaction, 'createdAt'> & { createdAt: Time };

/** A row as a storage gives it. */
export type StoredMessage = Omit<Message, 'createdAt' | 'seenAt' | 'reactions'> & {
  createdAt: Time;
  seenAt: Time | null;
  reactions?: StoredReaction[];
};

/** A conversation as a storage keeps it, with members that only writes need. */
export interface ConversationRow extends StoredConversation {
  /** The advisors' messages that the client has not seen. */
  unseenCount: number;
  /** Every client's message up to this `seq` is read. */
  readSeq: number;
  /** Every advisor's message up to this `seq` is seen. */
  seenSeq: number;
}

/** A member as a storage keeps it. */
export interface MemberRow {
  conversationId: string;
  member: Member;
}

/** A token as a storage keeps it. */
export interface TokenRow {
  /** The token's SHA-256 in hexadecimal; the token itself is never told. */
  digest: string;
  claims: TokenClaimsRow;
  createdAt: Time;
}

/** Which member. */
export interface MemberKey {
  conversationId: string;
  type: Role;
  id: string;
}

/**
 * The rows that a transaction's decision depends on. Rows that do not exist are left out; rows that appear twice do no
 * harm.
 */
export interface Questions {
  /** By id. Ascending: who locks rows locks them in this order. */
  conversations: string[];
  /** The conversations of these clients, and their newest messages. */
  openings: { orgId: string; clientId: string }[];
  /** The messages that have all four. */
  repeatable: { conversationId: string; clientMessageId: string; senderType: Role; senderId: string }[];
  /** By id, whichever conversation they are of. */
  messages: string[];
  /** Conversations whose newest message is wanted. */
  newestOf: string[];
  /** Members of whom the watermarks are wanted. */
  viewers: MemberKey[];
  /** Members of whom it is wanted whether they are there. A client's row in its own conversation may be left out. */
  clients: MemberKey[];
  /** The tokens of a conversation for a trip. Those that have expired may be left out. */
  tokens: { conversationId: string; tripId: string }[];
}

/** What `Questions` asks for, as far as it is there. */
export interface Facts {
  /** Of `conversations` and `openings`. */
  conversations: ConversationRow[];
  /** With their reactions. */
  messages: StoredMessage[];
  /** Of `viewers` and `clients`. */
  members: MemberRow[];
  /** The oldest first. */
  tokens: TokenRow[];
}

/** The rows to write, each once. They may be stored in the order in which they stand here. */
export interface Effects {
  /** To be inserted. */
  opened: ConversationRow[];
  /** To be updated. */
  conversations: ConversationRow[];
  /**
   * To be added to what `listChanges` lists, and a change of the messages with afterSeq < seq <= upToSeq that were there
   * before: an advisor (`viewer`) has read each of a client's that is not read, or a client has seen, at `at`, each of an
   * advisor's without `seenAt`. These get `rev`.
   */
  marks: { conversationId: string; viewer: Role; afterSeq: number; upToSeq: number; rev: number; at: string }[];
  /** To be inserted; their reactions follow below. `createdRev`: the revision that brought it, `rev` may be a later one. */
  messages: { message: Message; createdRev: number }[];
  /** Messages that were there before and get this `rev`. */
  touched: { conversationId: string; messageId: string; seq: number; rev: number }[];
  /** Messages that were there before, or are among `messages`, each replaced by this one; its reactions are among the others. */
  rewritten: { message: Message; contentRev: number }[];
  removedReactions: { conversationId: string; messageId: string; seq: number; reactorType: Role; reactorId: string }[];
  /** Each replaces this reactor's to this message, if there is one. A message's are listed in the order of `rev`. */
  reactions: { reaction: Reaction; seq: number; rev: number }[];
  /** To be added to what `listChanges` lists: this message changed, whatever of it. New messages are not among them. */
  changes: { conversationId: string; rev: number; seq: number; at: string }[];
  /** To be inserted, or to replace the member's row. */
  members: MemberRow[];
  /** Digests. */
  removedTokens: string[];
  /** To be inserted, the oldest first. */
  tokens: TokenRow[];
}

/** Tokens to be deleted. */
export type TokenRemoval =
  | { kind: 'deleteToken'; digest: string }
  /** Those with `expiresAt <= now`. */
  | { kind: 'sweepTokens'; now: string }
  /** Of one client, of one trip, or of one client for one trip: one of the two is null at most. */
  | { kind: 'revokeTokens'; orgId: string; clientId: string | null; tripId: string | null };

/**
 * A durable change: of one message, which stands in it as it is now, or a mark. Of what is neither, as of a message that is
 * gone, only `rev` is taken.
 */
export interface StoredChange {
  rev: number;
  message?: StoredMessage | null;
  /** Of `message`: the revision that brought it. */
  createdRev?: number;
  /** Of `message`: the newest revision that changed more of it than its reactions and marks; 0, or left out: none has. */
  contentRev?: number;
  mark?: { viewer: Role; at: Time } | null;
}

/**
 * Where conversations live, in JavaScript: for an application that keeps its own tables. It loads rows and stores rows, and
 * knows no rule of a conversation. `transact` and `removeTokens` are called one at a time, the reads several at once. Each
 * may give a value or a promise. What throws a `ChatError` fails with its code. Anything else that is thrown, and an answer
 * of the wrong shape, is `storage_failed` and becomes a process warning.
 */
export interface ChatStorage {
  /**
   * One transaction: loads what `questions` asks for, gives it to `decide`, stores what that answers, and ends once it is
   * durable. Where others write to the same rows, the conversations that are loaded are locked until the end. `decide` may be
   * called again, with new facts, when the database asks for the transaction to be begun anew.
   *
   * What it throws undoes the transaction: `ChatError('internal')` says that the key of a row to insert is taken, and the
   * others are then stored without it.
   */
  transact(questions: Questions, decide: (facts: Facts) => Effects): MaybePromise<void>;
  /** `count`: how many there were; `digests`: which, of `revokeTokens`. */
  removeTokens(removal: TokenRemoval): MaybePromise<{ count: number; digests?: string[] }>;
  findConversation(conversationId: string): MaybePromise<StoredConversation | null | undefined>;
  listConversations(query: {
    orgId: string;
    text: string | null;
    clientIds: string[];
  }): MaybePromise<(StoredConversation & { lastMessage?: StoredMessage | null })[]>;
  /**
   * By `seq`. With `sinceRev`: the `limit` ones of smallest `rev` above it, and whatever else has the last one's `rev`.
   * Throws `ChatError('too_many_changes')` when these are more than 1,000. An answer of more than that counts as the same;
   * who throws it need not read them all.
   */
  listMessages(query: {
    conversationId: string;
    beforeSeq?: number;
    sinceRev?: number;
    limit: number;
  }): MaybePromise<{ messages: StoredMessage[]; hasMore: boolean; epoch?: string }>;
  /** Throws `ChatError('not_found')` when there is no such conversation. */
  listChanges(query: {
    conversationId: string;
    sinceRev: number;
    limit: number;
  }): MaybePromise<{ currentRev: number; tooMany: boolean; changes: StoredChange[]; epoch?: string }>;
  /** The conversation's client first, then the others in a fixed order. Left out: the client alone. */
  listMembers?(conversationId: string): MaybePromise<Member[]>;
  listRevisions(query: {
    conversationIds: string[];
    orgIds: string[];
  }): MaybePromise<{ conversations: number[]; organizations: number[]; epoch?: string }>;
  countUnread(orgId: string): MaybePromise<number>;
  findToken(digest: string, now: string): MaybePromise<TokenClaimsRow | null | undefined>;
  /**
   * Those of `digests` that `findToken` would find. Asked every few seconds about all tokens that somebody listens by, 500 at
   * a time. Left out: `findToken` is called for each.
   */
  listLiveTokens?(digests: string[], now: string): MaybePromise<string[]>;
  /** Left out: looking for a conversation that there is not says whether the storage can be read. */
  ping?(): MaybePromise<void>;

  /**
   * With `beginEpoch`: deletes changes that are no longer kept, a bounded step in each call. Afterwards `listChanges` from
   * before what is kept answers `tooMany`. A storage that has the two also tells its `epoch` with each of the three reads
   * above: a lower-case UUID that is made with the storage.
   */
  pruneChanges?(step: PruneChanges): MaybePromise<Pruned>;
  /** Whatever is read from now on is of this epoch; durable. */
  beginEpoch?(epoch: string): MaybePromise<void>;
}

/** A step over the conversations, in the order of their ids. */
export interface PruneChanges {
  /** Where it begins: behind this conversation. null: with the first. */
  after: string | null;
  /** Of each conversation the changes of its newest revisions stay, this many. 0: all of them. */
  keepRevisions: number;
  /** Older ones are deleted, too. null: none is deleted for its age. */
  olderThan: string | null;
  /** Conversations looked at, and changes deleted, at the most. */
  maxConversations: number;
  maxChanges: number;
}

/** What a step has done. */
export interface Pruned {
  /** Changes deleted. */
  count: number;
  /** The next step's `after`. Left out: all conversations were looked at. */
  next?: string | null;
  epoch?: string;
}

/** What a storage keeps for a token's digest. */
export type TokenClaimsRow = Omit<TokenClaims, 'expiresAt'> & { expiresAt: Time };

const required = [
  'transact', 'removeTokens', 'findConversation', 'listConversations', 'listMessages', 'listChanges', 'listRevisions', 'countUnread',
  'findToken',
] as const;

const NIL_UUID = '00000000-0000-0000-0000-000000000000';

/** @internal What the addon is given for a storage. */
export function toNativeStorage(storage: BuiltInStorage | ChatStorage): object {
  if (isObject(storage) && 'kind' in storage) return storage;
  if (!isObject(storage) || required.every((name) => typeof storage[name] !== 'function')) {
    const isFactory = ([memory, sqlite, postgres] as unknown[]).includes(storage);
    const what = isFactory ? `the function ${(storage as unknown as () => unknown).name} that gives one` : kindOf(storage);
    throw new TypeError(`storage must be what sqlite({ path }), postgres({ url }) or memory() gives, or a ChatStorage, not ${what}`);
  }
  for (const name of required) {
    if (typeof storage[name] !== 'function') throw new TypeError(`storage.${name} must be a function`);
  }
  for (const name of ['listMembers', 'listLiveTokens', 'ping', 'pruneChanges', 'beginEpoch'] as const) {
    optional(anyFunction)(storage[name], `storage.${name}`, storage);
  }
  if ((storage.pruneChanges === undefined) !== (storage.beginEpoch === undefined)) {
    throw new TypeError('storage.pruneChanges and storage.beginEpoch belong together');
  }
  const hasUpkeep = storage.pruneChanges !== undefined;
  return {
    kind: 'javascript', hasUpkeep,
    call: (method: string, json: string, answer: Answer, decide?: NativeDecide) => call(storage, method, json, answer, decide),
  };
}

/** @internal */
export function call(storage: ChatStorage, method: string, json: string, answer: Answer, decide?: NativeDecide): void {
  void (async () => {
    let value: unknown;
    try {
      value = await run(storage, method, JSON.parse(json), decide);
    } catch (error) {
      answer(codeOf(error, 'storage_failed'));
      if (!(error instanceof ChatError)) warn(error);
      return;
    }
    try {
      answer(null, value);
    } catch (error) {
      // A value is of the wrong type, which the error names.
      warn(error);
    }
  })();
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
function run(storage: ChatStorage, method: string, query: any, decide?: NativeDecide): unknown {
  switch (method) {
    case 'transact':
      return storage.transact(query, (facts) => JSON.parse(decide!(facts)) as Effects);
    case 'removeTokens':
      return storage.removeTokens(query);
    case 'findConversation':
      return storage.findConversation(query.id);
    case 'listConversations':
      return storage.listConversations(query);
    case 'listMessages':
      return storage.listMessages(query);
    case 'listChanges':
      return storage.listChanges(query);
    case 'listMembers':
      return storage.listMembers === undefined ? onlyClient(storage, query.id) : storage.listMembers(query.id);
    case 'listRevisions':
      return storage.listRevisions(query);
    case 'countUnread':
      return storage.countUnread(query.orgId);
    case 'findToken':
      return storage.findToken(query.digest, query.now);
    case 'listLiveTokens':
      return storage.listLiveTokens === undefined
        ? findEach(storage, query.digests, query.now)
        : storage.listLiveTokens(query.digests, query.now);
    case 'pruneChanges':
      return storage.pruneChanges?.(query);
    case 'beginEpoch':
      return storage.beginEpoch?.(query.epoch);
    case 'ping':
      return storage.ping === undefined ? storage.findConversation(NIL_UUID) : storage.ping();
    default:
      throw new ChatError('internal');
  }
}

async function onlyClient(storage: ChatStorage, conversationId: string): Promise<Member[]> {
  const conversation = await storage.findConversation(conversationId);
  if (conversation == null) return [];
  return [{ type: 'client', id: conversation.clientId, name: '', deliveredSeq: 0, seenSeq: 0 }];
}

async function findEach(storage: ChatStorage, digests: string[], now: string): Promise<string[]> {
  const live: string[] = [];
  for (const digest of digests) {
    if ((await storage.findToken(digest, now)) != null) live.push(digest);
  }
  return live;
}
