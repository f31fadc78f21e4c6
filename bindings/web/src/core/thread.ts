// One conversation, live. thread_state.ts decides; this class loads pages, keeps a socket, sends the outbox, and makes
// the snapshots that a user interface renders.
//
// The newest page is loaded first and the socket resumes from it, so missed events always come by the replay. After a
// lost event (a gap in `rev`) or a `resync` of the server, a new socket does the same. So it does for another epoch:
// then a backup has replaced the storage, and everything known from before is forgotten with the next page. What
// polling finds while there is no socket is shown at once, and comes again with the replay of the next socket.
import type { Api } from './api';
import { ChatError, toFailure } from './api';
import { isBlank } from './blank';
import { Connection } from './connection';
import { ConversationApi } from './conversation_api';
import { readDraft, writeDraft } from './draft';
import { EchoWatch } from './echo_watch';
import type { Environment, Timer } from './environment';
import type { ChatEvent, InboxEvent } from './events';
import type { ConnectionStatus, Thread, ThreadSnapshot } from './model';
import { Listeners } from './observable';
import { Outbox } from './outbox';
import type { OutboxStore } from './outbox_store';
import { ReactionRequests } from './reaction_requests';
import { draftKeyOf, scopeOf } from './scope';
import * as states from './thread_state';
import type { ThreadState } from './thread_state';
import type { Emoji, Message, Participant } from './types';
import { Typing } from './typing';

/** Typing of others is forgotten this long after the socket was lost: as long as the server would keep it. */
const TYPING_MEMORY = 6000;
/** An answered reaction is shown this long without an event that tells it. */
const REACTION_MEMORY = 5000;

export class LiveThread implements Thread {
  #state: ThreadState;
  #snapshot: ThreadSnapshot;
  readonly #changes = new Listeners();
  readonly #incoming = new Listeners<[Message]>();
  readonly #requests: ConversationApi;
  readonly #connection: Connection;
  readonly #outbox: Outbox;
  readonly #typing: Typing;
  readonly #reactions: ReactionRequests;
  readonly #echo: EchoWatch;
  readonly #draftKey: string;
  /** How often it was opened, less how often closed. */
  #opened = 0;
  /** The replay is over: events are live. */
  #isLive = false;
  #isReading = false;
  /** The seq up to which this tab has sent "seen". */
  #markedSeq = 0;
  /** The page must be loaded anew: the server said so, at this rev, or named another epoch. */
  #stale: { readonly rev: number | null; readonly epoch: string | null } | null = null;
  /** Of the storage that the state was read from; null while no server has named one. */
  #epoch: string | null = null;
  /** Pages asked for under an older number are not wanted any more. */
  #loads = 0;
  /** The revision up to which polling has told what changed; it may be beyond the state's `rev`. */
  #polledRev = 0;
  #older: Promise<void> | null = null;
  #forgetTyping: Timer | null = null;

  constructor(
    private readonly env: Environment,
    api: Api,
    store: OutboxStore,
    /** Of the sockets: ws://host. */
    private readonly socketBase: string,
    readonly conversationId: string,
    readonly me: Participant & { readonly name: string },
    /** The set of open threads, to which it belongs while it is open. */
    private readonly inUse = new Set<LiveThread>(),
  ) {
    this.#state = states.initialThread(conversationId, me);
    this.#requests = new ConversationApi(api, conversationId);
    const scope = scopeOf(socketBase, me, conversationId);
    this.#draftKey = draftKeyOf(scope);
    this.#connection = new Connection(env, api, {
      prepare: () => this.#prepare(),
      url: () => this.#url(),
      onEvent: (event) => this.#onEvent(event),
      poll: () => this.#poll(),
      onStatus: (status) => this.#onStatus(status),
    });
    this.#outbox = new Outbox(env, store, scope, {
      post: ({ content, key }) => this.#requests.send(content, key),
      onStored: (message) => {
        this.#set(states.applyStored(this.#state, message));
        this.#echo.stored(message.rev);
      },
      onChange: (entries) => {
        const [state, stored] = states.setPending(this.#state, entries);
        this.#set(state);
        for (const key of stored) this.#outbox.discard(key);
      },
    });
    this.#typing = new Typing(
      env,
      (isTyping) => this.#connection.send({ type: 'typing', isTyping }),
      (isTyping) => {
        // The server tells this socket nothing of its own side while it types, not even that a colleague stopped.
        if (isTyping) this.#publish();
        else this.#set({ ...this.#state, typing: { ...this.#state.typing, [me.type]: false } });
      },
    );
    this.#reactions = new ReactionRequests(env, {
      request: (id, emoji, isWanted) => this.#requests.react(id, emoji, isWanted),
      onAsked: (id) => this.#set(states.askReaction(this.#state, id, false)),
      onAnswered: (id) => {
        this.#set(states.askReaction(this.#state, id, true));
        // Drops the wish when no event confirms it: another tab may have changed the reaction and changed it back
        // meanwhile.
        env.setTimeout(() => this.#set(states.settleReactions(this.#state)), REACTION_MEMORY);
      },
      onFailed: (id) => this.#set(states.undoReaction(this.#state, id)),
    });
    this.#echo = new EchoWatch(env, this.#connection, () => this.#state.rev);
    this.#snapshot = states.toSnapshot(this.#state, this.#connection.status, false, null);
  }

  snapshot(): ThreadSnapshot {
    return this.#snapshot;
  }

  subscribe(onChange: () => void): () => void {
    return this.#changes.add(onChange);
  }

  onIncoming(listener: (message: Message) => void): () => void {
    return this.#incoming.add(listener);
  }

  /** Closed and without subscribers, and everything in it is on the server: it may be dropped. */
  get isIdle(): boolean {
    return this.#opened === 0 && this.#changes.isEmpty && this.#incoming.isEmpty && this.#reactions.isEmpty;
  }

  open(): void {
    this.#opened += 1;
    if (this.#opened > 1) return;
    this.inUse.add(this);
    this.#outbox.open();
    this.#connection.start();
  }

  close(): void {
    if (this.#opened === 0) return;
    this.#opened -= 1;
    if (this.#opened === 0) this.dispose();
  }

  /** Ends everything, however often it was opened. */
  dispose(): void {
    this.#opened = 0;
    this.inUse.delete(this);
    this.#typing.stop();
    this.#outbox.close();
    this.#connection.stop();
  }

  reconnect(): void {
    this.#connection.reconnect();
  }

  send(content: string): string | null {
    if (isBlank(content)) return null;
    const key = this.env.newId();
    this.#typing.stop();
    // A lone surrogate cannot travel as UTF-8.
    this.#outbox.add(key, content.trim().replace(/\p{Surrogate}/gu, '\ufffd'));
    return key;
  }

  retry(key: string): void {
    this.#outbox.retry(key);
  }

  discard(key: string): void {
    this.#outbox.discard(key);
  }

  typed(): void {
    this.#typing.typed();
  }

  stopTyping(): void {
    this.#typing.stop();
  }

  draft(): string {
    return readDraft(this.env.localStorage, this.#draftKey);
  }

  setDraft(text: string): void {
    writeDraft(this.env.localStorage, this.#draftKey, text);
  }

  setReading(isReading: boolean): void {
    this.#isReading = isReading;
    this.#markSeen();
  }

  loadOlder(): Promise<void> {
    const { hasOlder, rows, eventsDuringLoad } = this.#state;
    const first = rows[0];
    // While the newest page is loading, it is not known what an older page would be.
    if (!hasOlder || !first || eventsDuringLoad) return this.#older ?? Promise.resolve();
    this.#older ??= this.#loadOlder(first.message.seq).finally(() => {
      this.#older = null;
    });
    return this.#older;
  }

  toggleReaction(messageId: string, emoji: Emoji): void {
    const since = new Date(this.env.now()).toISOString();
    const toggled = states.toggleReaction(this.#state, messageId, emoji, since);
    if (!toggled) return;
    const [state, isWanted] = toggled;
    this.#set(state);
    this.#reactions.want(messageId, emoji, isWanted);
  }

  // ---- The newest page, and the socket behind it ----

  async #prepare(): Promise<void> {
    if (this.#state.hasPage && this.#stale === null) return;
    const stale = this.#stale;
    this.#loads += 1;
    const load = this.#loads;
    this.#set(states.awaitPage(this.#state, false));
    try {
      const { page, hasMore, epoch } = await this.#requests.list('');
      if (load !== this.#loads) return;
      this.#stale = null;
      const named = epoch ?? stale?.epoch ?? null;
      // A revision of another storage does not compare with this page's.
      const rev = stale?.epoch != null && stale.epoch !== named ? null : (stale?.rev ?? null);
      const isAnother = this.#isAnotherEpoch(named);
      this.#epoch = named ?? this.#epoch;
      this.#polledRev = 0;
      if (isAnother) {
        // Neither revision is of this storage.
        this.#echo.forget();
        this.#markedSeq = 0;
      }
      const before = isAnother ? states.forgetStorage(this.#state) : this.#state;
      this.#set(states.applyNewest(before, page, hasMore, rev));
      page.forEach((message) => this.#discardEntryOf(message));
    } catch (error) {
      if (load === this.#loads) this.#set(states.failPage(this.#state, toFailure(error)));
      throw error;
    }
  }

  /** False where either of them is not known. */
  #isAnotherEpoch(epoch: string | null): boolean {
    return this.#epoch !== null && epoch !== null && epoch !== this.#epoch;
  }

  /** Starts over, with the newest page and a new socket behind it. */
  #resync(rev: number | null, epoch: string | null): void {
    this.#stale = { rev, epoch };
    this.#connection.replace();
  }

  async #loadOlder(before: number): Promise<void> {
    const load = this.#loads;
    this.#set(states.awaitPage(this.#state, true));
    try {
      const { page, hasMore, epoch } = await this.#requests.list(`&before=${before}`);
      if (load !== this.#loads) return;
      if (this.#isAnotherEpoch(epoch)) {
        this.#set({ ...this.#state, isLoadingOlder: false, eventsDuringLoad: null });
        this.#resync(null, epoch);
        return;
      }
      this.#set(states.applyOlder(this.#state, page, hasMore));
      page.forEach((message) => this.#discardEntryOf(message));
    } catch (error) {
      if (load === this.#loads) this.#set(states.failPage(this.#state, toFailure(error)));
    }
  }

  async #poll(): Promise<boolean> {
    // The next connection loads the page, so there is nothing to poll.
    if (!this.#state.hasPage || this.#stale !== null) return false;
    const load = this.#loads;
    const since = Math.max(this.#state.rev, this.#polledRev);
    const epoch = this.#epoch === null ? '' : `&epoch=${encodeURIComponent(this.#epoch)}`;
    const changed: Message[] = [];
    let rev = since;
    try {
      for (let hasMore = true; hasMore; ) {
        const page = await this.#requests.list(`&since=${rev}${epoch}`);
        if (load !== this.#loads || this.#opened === 0) return false;
        if (this.#isAnotherEpoch(page.epoch)) {
          this.#resync(null, page.epoch);
          return false;
        }
        changed.push(...page.page);
        const last = Math.max(rev, ...page.page.map((message) => message.rev));
        hasMore = page.hasMore && last > rev;
        rev = last;
      }
    } catch (error) {
      if (!(error instanceof ChatError) || error.status !== 409) throw error;
      // Too much has changed, or the storage is another one.
      if (load === this.#loads) this.#resync(null, null);
      return false;
    }
    this.#polledRev = rev;
    const before = this.#state;
    this.#set(changed.reduce(states.applyStored, before));
    for (const message of changed) this.#discardEntryOf(message);
    for (const message of changed) {
      const isNew = !states.hasStored(before, message.seq) && states.hasStored(this.#state, message.seq);
      if (isNew && message.senderType !== this.me.type) this.#incoming.notify(message);
    }
    return rev > Math.max(since, this.#state.rev);
  }

  #url(): string {
    // The first events of the new socket are its replay.
    this.#isLive = false;
    const query = new URLSearchParams({
      conversationId: this.conversationId,
      userType: this.me.type,
      userId: this.me.id,
      since: String(this.#state.rev),
    });
    if (this.#epoch !== null) query.set('epoch', this.#epoch);
    return `${this.socketBase}/ws/chat?${query}`;
  }

  #onEvent(event: ChatEvent | InboxEvent): void {
    switch (event.type) {
      case 'conversation_update':
      case 'error':
        return;
      case 'resync':
        this.#resync(event.rev, event.epoch ?? null);
        return;
      case 'caught_up':
        if (this.#isAnotherEpoch(event.epoch ?? null)) {
          this.#resync(event.rev, event.epoch ?? null);
          return;
        }
        this.#epoch ??= event.epoch ?? null;
        this.#isLive = true;
        this.#set(states.settleReactions(states.applyEvent(this.#state, event)));
        this.#connection.ready();
        return;
      default:
        this.#apply(event);
    }
  }

  #apply(event: ChatEvent): void {
    if (this.#isLive && states.isGap(this.#state, event)) {
      this.#connection.replace();
      return;
    }
    const before = this.#state;
    // A replay is shown when it is complete: a thousand events are one change.
    if (this.#isLive || event.type === 'typing') this.#set(states.applyEvent(before, event));
    else this.#state = states.applyEvent(before, event);
    if (event.type !== 'new_message') return;
    const { message } = event;
    this.#discardEntryOf(message);
    const isNew = event.rev > before.rev && !states.hasStored(before, message.seq);
    if (this.#isLive && isNew && message.senderType !== this.me.type) this.#incoming.notify(message);
  }

  /** The message is stored, so its entry leaves the outbox. */
  #discardEntryOf({ senderType, senderId, clientMessageId }: Message): void {
    const isMine = senderType === this.me.type && senderId === this.me.id;
    if (isMine && clientMessageId) this.#outbox.discard(clientMessageId);
  }

  #onStatus(status: ConnectionStatus): void {
    if (status.phase === 'open') {
      if (this.#forgetTyping !== null) this.env.clearTimeout(this.#forgetTyping);
      this.#forgetTyping = null;
      this.#markedSeq = 0;
      this.#typing.restart();
      this.#outbox.retryNow();
      this.#reactions.retryNow();
    } else {
      this.#forgetTyping ??= this.env.setTimeout(() => {
        this.#set({ ...this.#state, typing: { advisor: false, client: false } });
      }, TYPING_MEMORY);
    }
    this.#publish();
    this.#markSeen();
  }

  /** While this person reads: marks what is unseen as seen, once for each newest message and socket. */
  #markSeen(): void {
    const newest = states.newestUnseen(this.#state);
    if (!this.#isReading || newest <= this.#markedSeq || this.#opened === 0) return;
    this.#markedSeq = newest;
    if (this.#connection.send({ type: 'seen' })) return;
    this.#requests.read().catch(() => {
      // Again with the next message or connection.
      if (this.#markedSeq === newest) this.#markedSeq = 0;
    });
  }

  // ---- Snapshots ----

  #set(state: ThreadState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#publish();
    this.#markSeen();
  }

  #publish(): void {
    this.#snapshot = states.toSnapshot(this.#state, this.#connection.status, this.#typing.isTyping, this.#snapshot);
    this.#changes.notify();
  }
}
