// What a user interface sees of the chat: immutable snapshots to render, and the few things that people do.
//
// `ChatClient` (client.ts) makes the implementations. Every `subscribe` follows React's useSyncExternalStore: the
// callback is called after a change, `snapshot()` returns the same object until the next one. A refused request or a
// lost connection does not throw: both are states in a snapshot.
import type { Conversation, Emoji, Message, Participant } from './types';

export interface Store<Snapshot> {
  snapshot(): Snapshot;
  /** Returns the function that ends the subscription. */
  subscribe(onChange: () => void): () => void;
}

/** Why something did not work. `code` is the wire's, or `network` when no answer came. */
export interface ChatFailure {
  readonly code: string;
  readonly status: number;
  readonly message: string;
}

/**
 * idle       not opened, or closed by `close()`
 * connecting a socket is being opened (or a credential renewed)
 * open       live; everything missed has been replayed
 * waiting    between two tries; `attempt` counts the failures since the last open socket
 * stopped    refused for good: `reason` says why; only `reconnect()` tries again
 */
export type ConnectionPhase = 'idle' | 'connecting' | 'open' | 'waiting' | 'stopped';

export interface ConnectionStatus {
  readonly phase: ConnectionPhase;
  /** Failures in a row. After five a person is offered a button; the tries go on, slowly. */
  readonly attempt: number;
  /** When the last open socket was lost, or the first try began, in ms since the epoch; null while open or idle. */
  readonly downSince: number | null;
  readonly reason: 'unauthorized' | 'forbidden' | 'not_found' | 'protocol' | null;
}

/** sending: on its way, or waiting in the outbox for a connection. failed: refused; retry or discard it. */
export type SendStatus = 'sending' | 'sent' | 'failed';

/** One message as it is shown. */
export interface ThreadRow {
  /** Stable from the first keystroke's send to the stored row: the React key. */
  readonly key: string;
  /** For a row that is not sent yet: `id` is the key, `seq` and `rev` are 0, `createdAt` is the local time. */
  readonly message: Message;
  /** Of this side: one's own, and for an advisor also a colleague's. */
  readonly isOwn: boolean;
  readonly status: SendStatus;
  /** Only when failed. */
  readonly failure: ChatFailure | null;
}

export interface ThreadSnapshot {
  readonly conversationId: string;
  readonly me: Participant;
  /** By `seq`, then what is not sent yet in the order of writing. */
  readonly rows: readonly ThreadRow[];
  /** opening: no page has arrived yet. older: a page above is on its way. */
  readonly loading: 'opening' | 'older' | null;
  /** The first page could not be loaded (it is tried again by itself with the connection), or not an older one. */
  readonly loadFailure: ChatFailure | null;
  readonly hasOlder: boolean;
  readonly connection: ConnectionStatus;
  /** Somebody on the other side types. */
  readonly otherTyping: boolean;
  /** Somebody else on this side types: a colleague, or this person in another tab. */
  readonly sideTyping: boolean;
  /** The newest stored message of this side, when the other side has seen it. `at` is null where only the fact is
   * known. */
  readonly seen: { readonly key: string; readonly at: string | null } | null;
  /** Messages of the other side that this side has not seen, of those that are loaded. */
  readonly unseenCount: number;
  /** The seq of the oldest of them; null when there are none. */
  readonly firstUnseenSeq: number | null;
}

/** One conversation. */
export interface Thread extends Store<ThreadSnapshot> {
  /** Loads, connects, and stays connected until as many `close()` as `open()` were called. */
  open(): void;
  close(): void;

  /** Shows it at once and sends it when it can, in order, exactly once. Returns its key; null for nothing but white
   * space. */
  send(content: string): string | null;
  /** A failed row goes to the end of the outbox, under the same `clientMessageId`. */
  retry(key: string): void;
  /** A row that failed, or that still waits, is forgotten. */
  discard(key: string): void;

  /** Resolves when the page is in the snapshot, or could not be had. Safe to call at any time. */
  loadOlder(): Promise<void>;

  /** Sets one's reaction, or takes it away when it is this one. Shown at once, undone when refused. */
  toggleReaction(messageId: string, emoji: Emoji): void;

  /** Call on each change of the input's text by its writer. Sends `typing` at once, again every 2 s, and its end
   * after 2 s of silence. */
  typed(): void;
  /** The input lost the focus or was emptied. `send` does this by itself. */
  stopTyping(): void;

  /** True while this person sees the newest messages (page visible and focused, list near its end). While true, what is
   * unseen is marked as seen, once, now and as it arrives. */
  setReading(isReading: boolean): void;

  /** Try now. */
  reconnect(): void;

  /** What was being written, kept across reloads. */
  draft(): string;
  setDraft(text: string): void;

  /** Called for each message of the other side that arrives live (not for history or replay). Returns the end of it. */
  onIncoming(listener: (message: Message) => void): () => void;
}

export interface InboxSnapshot {
  /** Newest activity first; filtered by the server while a search is set. null: not loaded yet. */
  readonly conversations: readonly Conversation[] | null;
  readonly query: string;
  /** A load or a search is on its way. */
  readonly isLoading: boolean;
  readonly failure: ChatFailure | null;
  /** Over the whole organization, whatever is searched. */
  readonly unreadCount: number;
  readonly connection: ConnectionStatus;
}

/** The advisor's list of conversations, live through /ws/inbox. */
export interface Inbox extends Store<InboxSnapshot> {
  open(): void;
  close(): void;
  /** Searches client names and message text; empty text ends the search. The newest call wins. */
  search(query: string): void;
  reconnect(): void;
  /** A message of a client arrived in any conversation, live. */
  onIncoming(listener: (conversation: Conversation) => void): () => void;
}
