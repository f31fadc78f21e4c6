// The advisor's list of conversations, live: the rows of the organization, kept by /ws/inbox, and a search over them.
//
// /ws/inbox has no replay. So the list is loaded each time the socket has opened, and what the socket tells meanwhile
// is merged by `rev`: whichever of row and event is newer stays.
import type { Api } from './api';
import { ChatError, toFailure } from './api';
import { Connection } from './connection';
import type { Environment, Timer } from './environment';
import { isConversation } from './events';
import type { ChatFailure, Inbox, InboxSnapshot } from './model';
import { Listeners } from './observable';
import type { Conversation } from './types';

/** Typing in the search box asks the server once it pauses. */
const SEARCH_DELAY = 200;

/** What the host does not know of a client is null on the wire. */
export const toConversation = (wire: Conversation): Conversation => ({
  ...wire,
  clientName: wire.clientName ?? wire.clientId,
  clientAvatarUrl: wire.clientAvatarUrl ?? null,
  lastMessage: wire.lastMessage ?? null,
  unreadCount: wire.unreadCount ?? 0,
  activeTrip: wire.activeTrip ?? null,
});

const activity = ({ lastMessageAt, createdAt }: Conversation): string => lastMessageAt ?? createdAt;

// Times of the wire have one form, so that their order is that of their text.
const byActivity = (a: Conversation, b: Conversation): number =>
  activity(a) < activity(b) ? 1 : activity(a) > activity(b) ? -1 : a.id < b.id ? 1 : -1;

export class LiveInbox implements Inbox {
  #all: ReadonlyMap<string, Conversation> = new Map();
  #isLoaded = false;
  /** What the search found; null without a search. */
  #found: ReadonlySet<string> | null = null;
  #query = '';
  #failure: ChatFailure | null = null;
  /** Lists on their way. */
  #listing = 0;
  #isSearching = false;
  /** The newest search; answers of others are late. */
  #search = 0;
  #delay: Timer | null = null;
  #opened = 0;
  #connection: Connection;
  #shown: InboxSnapshot;
  #changes = new Listeners();
  #incoming = new Listeners<[Conversation]>();

  constructor(
    private readonly env: Environment,
    private readonly api: Api,
    socketBase: string,
  ) {
    this.#connection = new Connection(env, api, {
      prepare: () => Promise.resolve(),
      url: () => `${socketBase}/ws/inbox`,
      onJoined: (number) => void this.#list(number),
      onEvent: (event) => {
        if (event.type === 'conversation_update') this.#update(toConversation(event.conversation));
      },
      onStatus: () => this.#show(),
    });
    this.#shown = this.#render();
  }

  snapshot(): InboxSnapshot {
    return this.#shown;
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
      this.#found = null;
      this.#isSearching = false;
    } else {
      this.#isSearching = true;
      this.#delay = this.env.setTimeout(() => void this.#find(), SEARCH_DELAY);
    }
    this.#show();
  }

  async #find(): Promise<void> {
    const number = this.#search;
    const query = this.#query.trim();
    if (query === '') return;
    this.#isSearching = true;
    const rows = await this.#load(`?q=${encodeURIComponent(query)}`).catch(toFailure);
    if (number !== this.#search) return;
    this.#isSearching = false;
    if (Array.isArray(rows)) {
      this.#failure = null;
      this.#merge(rows);
      this.#found = new Set(rows.map(({ id }) => id));
    } else {
      this.#failure = rows as ChatFailure;
    }
    this.#show();
  }

  async #list(number: number): Promise<void> {
    this.#listing += 1;
    this.#show();
    try {
      this.#merge(await this.#load(''));
      this.#failure = null;
      this.#isLoaded = true;
      this.#connection.ready(number);
      void this.#find();
    } catch (error) {
      this.#failure = toFailure(error);
      this.#connection.fail(number, error);
    } finally {
      this.#listing -= 1;
      this.#show();
    }
  }

  async #load(query: string): Promise<Conversation[]> {
    const { data } = await this.api.request('GET', `/api/conversations${query}`);
    if (!Array.isArray(data)) throw new ChatError('network', 0, 'The answer is no list of conversations.');
    return data.filter(isConversation).map(toConversation);
  }

  #merge(rows: readonly Conversation[]): void {
    const all = new Map(this.#all);
    for (const row of rows) {
      const known = all.get(row.id);
      if (!known || row.rev > known.rev) all.set(row.id, row);
    }
    this.#all = all;
  }

  #update(row: Conversation): void {
    const known = this.#all.get(row.id);
    if (known && known.rev > row.rev) return;
    const { lastMessage } = row;
    const isNew = this.#isLoaded && (lastMessage?.seq ?? 0) > (known?.lastMessage?.seq ?? 0);
    this.#all = new Map(this.#all).set(row.id, row);
    this.#show();
    if (isNew && lastMessage?.senderType === 'client') this.#incoming.tell(row);
  }

  #render(): InboxSnapshot {
    const all = [...this.#all.values()];
    const shown = all.filter(({ id }) => this.#found?.has(id) ?? true);
    return {
      conversations: this.#isLoaded ? shown.sort(byActivity) : null,
      query: this.#query,
      isLoading: this.#listing > 0 || this.#isSearching,
      failure: this.#failure,
      unreadCount: all.reduce((sum, { unreadCount }) => sum + unreadCount, 0),
      connection: this.#connection.status,
    };
  }

  #show(): void {
    this.#shown = this.#render();
    this.#changes.tell();
  }
}
