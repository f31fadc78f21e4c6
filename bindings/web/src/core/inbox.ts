// The advisor's list of conversations, live: the rows of the organization, kept by /ws/inbox, and a search over them.
//
// /ws/inbox has no replay. So the list is loaded each time the socket has opened, and at intervals while there is none.
// A loaded list replaces everything that is known, also names and trips, which have no revision, and conversations that
// are gone. The exception is what the socket tells while the list is loading: then the larger `rev` of row and event
// wins. Revisions of different epochs cannot be compared: when the list names another epoch, nothing from before is
// kept.
import type { Api } from './api';
import { ChatError, toFailure } from './api';
import { Connection } from './connection';
import type { Environment, Timer } from './environment';
import { isConversation } from './events';
import type { ChatFailure, Inbox, InboxSnapshot } from './model';
import { Listeners } from './observable';
import type { Conversation } from './types';
import type { ConversationRow } from './wire';

/** Typing in the search box asks the server once it pauses. */
const SEARCH_DELAY = 200;

/** What the host does not know of a client is null on the wire. */
export const toConversation = (row: ConversationRow): Conversation => ({
  ...row,
  clientName: row.clientName ?? row.clientId,
  clientAvatarUrl: row.clientAvatarUrl ?? null,
  lastMessage: row.lastMessage ?? null,
  unreadCount: row.unreadCount ?? 0,
  activeTrip: row.activeTrip ?? null,
});

const activity = ({ lastMessageAt, createdAt }: Conversation): string => lastMessageAt ?? createdAt;

// Times of the wire have one form, so that their order is that of their text.
const byActivity = (a: Conversation, b: Conversation): number =>
  activity(a) < activity(b) ? 1 : activity(a) > activity(b) ? -1 : a.id < b.id ? 1 : -1;

interface List {
  readonly rows: readonly Conversation[];
  /** Every conversation is in it. */
  readonly isWhole: boolean;
  readonly epoch: string | null;
  /** The number under which it was asked for. */
  readonly number: number;
}

/** Whether the newest message is a client's that was not there before. */
const hasNewMessage = (before: Conversation | undefined, { lastMessage }: Conversation): boolean =>
  lastMessage?.senderType === 'client' && lastMessage.seq > (before?.lastMessage?.seq ?? 0);

const isSame = (a: Conversation, b: Conversation): boolean => JSON.stringify(a) === JSON.stringify(b);

export class LiveInbox implements Inbox {
  #all: ReadonlyMap<string, Conversation> = new Map();
  /** Numbers the lists that were requested and the rows that the socket told, in one sequence. */
  #count = 0;
  /** By conversation, when the socket last told its row. */
  #toldAt = new Map<string, number>();
  /** Of the newest whole list that has come. */
  #listedAt = 0;
  /** Of the storage that the rows were read from; null while no list has named one. */
  #epoch: string | null = null;
  #isLoaded = false;
  /** What the search found; null without a search. */
  #foundIds: ReadonlySet<string> | null = null;
  #query = '';
  #failure: ChatFailure | null = null;
  /** Lists on their way. */
  #listsLoading = 0;
  #isSearching = false;
  /** The newest search; answers of others are late. */
  #search = 0;
  #delay: Timer | null = null;
  #opened = 0;
  /** A socket has opened, if only to be refused. */
  #hasJoined = false;
  #connection: Connection;
  #snapshot: InboxSnapshot;
  #changes = new Listeners();
  #incoming = new Listeners<[Conversation]>();

  constructor(
    private readonly env: Environment,
    private readonly api: Api,
    socketBase: string,
  ) {
    this.#connection = new Connection(env, api, {
      prepare: () => this.#prepare(),
      url: () => `${socketBase}/ws/inbox`,
      onJoined: (number) => {
        this.#hasJoined = true;
        void this.#loadList(number);
      },
      onEvent: (event) => {
        if (event.type === 'conversation_update') this.#update(toConversation(event.conversation));
      },
      poll: () => this.#poll(),
      onStatus: () => this.#publish(),
    });
    this.#snapshot = this.#render();
  }

  snapshot(): InboxSnapshot {
    return this.#snapshot;
  }

  subscribe(onChange: () => void): () => void {
    return this.#changes.add(onChange);
  }

  onIncoming(listener: (conversation: Conversation) => void): () => void {
    return this.#incoming.add(listener);
  }

  open(): void {
    this.#opened += 1;
    if (this.#opened === 1) this.#connection.start();
  }

  close(): void {
    if (this.#opened === 0) return;
    this.#opened -= 1;
    if (this.#opened === 0) this.dispose();
  }

  /** Ends everything, however often it was opened. */
  dispose(): void {
    this.#opened = 0;
    this.#connection.stop();
  }

  reconnect(): void {
    this.#connection.reconnect();
  }

  search(query: string): void {
    if (this.#delay !== null) this.env.clearTimeout(this.#delay);
    this.#delay = null;
    this.#query = query;
    this.#search += 1;
    if (query.trim() === '') {
      this.#foundIds = null;
      this.#isSearching = false;
    } else {
      this.#isSearching = true;
      this.#delay = this.env.setTimeout(() => void this.#runSearch(), SEARCH_DELAY);
    }
    this.#publish();
  }

  async #runSearch(): Promise<void> {
    const number = this.#search;
    const query = this.#query.trim();
    if (query === '') return;
    this.#isSearching = true;
    const found = await this.#load(`?q=${encodeURIComponent(query)}`).catch(toFailure);
    if (number !== this.#search) return;
    this.#isSearching = false;
    if ('rows' in found) {
      this.#failure = null;
      this.#merge(found);
      this.#foundIds = new Set(found.rows.map(({ id }) => id));
    } else {
      this.#failure = found;
    }
    this.#publish();
  }

  async #loadList(number: number): Promise<void> {
    this.#listsLoading += 1;
    this.#publish();
    try {
      this.#merge(await this.#load(''));
      this.#failure = null;
      this.#isLoaded = true;
      this.#connection.polled();
      this.#connection.ready(number);
      void this.#runSearch();
    } catch (error) {
      this.#failure = toFailure(error);
      this.#connection.fail(number, error);
    } finally {
      this.#listsLoading -= 1;
      this.#publish();
    }
  }

  /** Loads the list also where no socket opens. */
  async #prepare(): Promise<void> {
    if (!this.#isLoaded && !this.#hasJoined && this.#connection.status.attempt > 0) await this.#poll();
  }

  async #poll(): Promise<boolean> {
    let list: List;
    try {
      list = await this.#load('');
    } catch (error) {
      if (!this.#isLoaded) {
        this.#failure = toFailure(error);
        this.#publish();
      }
      throw error;
    }
    if (this.#opened === 0) return false;
    const before = this.#all;
    const isLoaded = this.#isLoaded;
    const hasFailed = this.#failure !== null;
    const isNews = this.#merge(list);
    this.#failure = null;
    this.#isLoaded = true;
    if (isNews) void this.#runSearch();
    if (isNews || !isLoaded || hasFailed) this.#publish();
    if (!isLoaded) return false;
    for (const row of this.#all.values()) if (hasNewMessage(before.get(row.id), row)) this.#incoming.notify(row);
    return isNews;
  }

  async #load(query: string): Promise<List> {
    this.#count += 1;
    const number = this.#count;
    const { data, hasMore, epoch } = await this.api.request('GET', `/api/conversations${query}`);
    if (!Array.isArray(data)) throw new ChatError('network', 0, 'The answer is no list of conversations.');
    const rows = data.filter(isConversation).map(toConversation);
    return { rows, isWhole: query === '' && !hasMore, epoch, number };
  }

  /** Whether there was anything new in it. */
  #merge({ rows, isWhole, epoch, number }: List): boolean {
    const isAnother = this.#epoch !== null && epoch !== null && epoch !== this.#epoch;
    const isLate = number < this.#listedAt;
    if (isLate && (isWhole || isAnother)) return false;
    this.#epoch = epoch ?? this.#epoch;
    if (isWhole) this.#listedAt = number;
    const before = this.#all;
    const isTold = (id: string): boolean => (this.#toldAt.get(id) ?? 0) > number;
    const isNewer = (row: Conversation, known: Conversation): boolean => {
      if (isTold(row.id) || isLate) return row.rev > known.rev;
      return isWhole || isAnother || row.rev >= known.rev;
    };
    const all = new Map(isWhole || isAnother ? [...before].filter(([id]) => isTold(id)) : before);
    for (const row of rows) {
      const known = before.get(row.id);
      all.set(row.id, known && (isSame(row, known) || !isNewer(row, known)) ? known : row);
    }
    this.#all = all;
    // A search result lacks the other conversations of the new storage, so the list is loaded with a new socket.
    if (isAnother && !isWhole) this.#connection.replace();
    return all.size !== before.size || [...all].some(([id, row]) => before.get(id) !== row);
  }

  #update(row: Conversation): void {
    const known = this.#all.get(row.id);
    if (known && known.rev > row.rev) return;
    this.#count += 1;
    this.#toldAt.set(row.id, this.#count);
    this.#all = new Map(this.#all).set(row.id, row);
    this.#publish();
    if (this.#isLoaded && hasNewMessage(known, row)) this.#incoming.notify(row);
  }

  #render(): InboxSnapshot {
    const all = [...this.#all.values()];
    const shown = all.filter(({ id }) => this.#foundIds?.has(id) ?? true);
    return {
      conversations: this.#isLoaded ? shown.sort(byActivity) : null,
      query: this.#query,
      isLoading: this.#listsLoading > 0 || this.#isSearching,
      failure: this.#failure,
      unreadCount: all.reduce((sum, { unreadCount }) => sum + unreadCount, 0),
      connection: this.#connection.status,
    };
  }

  #publish(): void {
    this.#snapshot = this.#render();
    this.#changes.notify();
  }
}
