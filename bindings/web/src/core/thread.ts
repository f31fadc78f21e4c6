// One conversation, live: the shell around thread_state.ts. It loads pages, keeps a socket, empties the outbox, and
// makes the snapshots that a user interface renders.
//
// The newest page comes first and the socket resumes from it, so there is one way for what was missed: the replay. A
// lost event (a gap in `rev`) or a `resync` of the server takes the same way with a new socket. So does another epoch: a
// backup has taken the place of the storage that told what this tab knows, and that is forgotten with the next page.
// What is asked for by HTTP while there is no socket is shown, and comes again with the replay of the next one.
import type { Api } from './api';
import { ChatError, isPassing, toFailure } from './api';
import { backoff } from './backoff';
import { isBlank } from './blank';
import { Connection } from './connection';
import type { Environment, Timer } from './environment';
import type { ChatEvent, InboxEvent } from './events';
import { isMessage } from './events';
import type { ConnectionStatus, Thread, ThreadSnapshot } from './model';
import { Listeners } from './observable';
import { Outbox } from './outbox';
import type { OutboxStore } from './outbox_store';
import { draftKeyOf, scopeOf } from './scope';
import * as states from './thread_state';
import type { ThreadState } from './thread_state';
import type { Emoji, Message, Participant } from './types';
import { Typing } from './typing';

const PAGE = 100;
/** Typing of others is forgotten this long after the socket was lost: as long as the server would keep it. */
const TYPING_MEMORY = 6000;
/** A message that was answered and whose event is missing for this long: the socket is dead. */
const ECHO_TIMEOUT = 10_000;
/** A reaction that found no server is tried this often before it is undone. */
const MAX_REACTION_TRIES = 5;
/** An answered reaction is shown this long without an event that tells it. */
const REACTION_MEMORY = 5000;

export class LiveThread implements Thread {
  #state: ThreadState;
  #snapshot: ThreadSnapshot;
  #changes = new Listeners();
  #incoming = new Listeners<[Message]>();
  #connection: Connection;
  #outbox: Outbox;
  #typing: Typing;
  #opened = 0;
  /** The replay is over: what comes now happens now. */
  #isLive = false;
  #isReading = false;
  /** The seq up to which this tab has told that it saw. */
  #markedSeq = 0;
  /** The page must be loaded anew: the server said so, at this rev, or named another epoch. */
  #stale: { readonly rev: number | null; readonly epoch: string | null } | null = null;
  /** Of the storage that the state was read from; null while no server has named one. */
  #epoch: string | null = null;
  /** Pages asked for under an older number are not wanted any more. */
  #loads = 0;
  /** Up to where HTTP has told what changed: further than the state's `rev`, or not. */
  #polledRev = 0;
  #older: Promise<void> | null = null;
  #forgetTyping: Timer | null = null;
  #echoTimer: Timer | null = null;
  /** The newest change that an answer told. */
  #storedRev = 0;
  /** By message id, what is asked of the server: to have `emoji`, or to have none (any more). */
  #reactions = new Map<string, { emoji: Emoji; isWanted: boolean; isBusy: boolean; tries: number }>();
  #path: string;
  #draftKey: string;

  constructor(
    private readonly env: Environment,
    private readonly api: Api,
    store: OutboxStore,
    /** Of the sockets: ws://host. */
    private readonly socketBase: string,
    readonly conversationId: string,
    readonly me: Participant & { readonly name: string },
    /** It is in here while it is open. */
    private readonly inUse = new Set<LiveThread>(),
  ) {
    this.#state = states.initialThread(conversationId, me);
    this.#path = `/api/conversations/${encodeURIComponent(conversationId)}`;
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
      post: async ({ content, key }) => this.#message(await this.#post('/messages', { content, clientMessageId: key })),
      onStored: (message) => this.#stored(message),
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

  /** Closed, and nobody looks at it; nothing is lost with it that the server does not have. */
  get isIdle(): boolean {
    return this.#opened === 0 && this.#changes.isEmpty && this.#incoming.isEmpty && this.#reactions.size === 0;
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
    try {
      return this.env.localStorage?.getItem(this.#draftKey) ?? '';
    } catch {
      return '';
    }
  }

  setDraft(text: string): void {
    try {
      if (text === '') this.env.localStorage?.removeItem(this.#draftKey);
      else this.env.localStorage?.setItem(this.#draftKey, text);
    } catch {
      // The storage is full or closed to this page: the draft lives as long as the input.
    }
  }

  setReading(isReading: boolean): void {
    this.#isReading = isReading;
    this.#markSeen();
  }

  loadOlder(): Promise<void> {
    const { hasOlder, rows, eventsDuringLoad } = this.#state;
    const first = rows[0];
    // While the newest page is on its way, what would be above it is not known.
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
    const isBusy = this.#reactions.get(messageId)?.isBusy ?? false;
    this.#reactions.set(messageId, { emoji, isWanted, isBusy, tries: 0 });
    void this.#askReaction(messageId);
  }

  // ---- The newest page, and the socket behind it ----

  async #prepare(): Promise<void> {
    if (this.#state.hasPage && this.#stale === null) return;
    const stale = this.#stale;
    this.#loads += 1;
    const load = this.#loads;
    this.#set(states.awaitPage(this.#state, false));
    try {
      const { page, hasOlder, epoch } = await this.#load('');
      if (load !== this.#loads) return;
      this.#stale = null;
      const named = epoch ?? stale?.epoch ?? null;
      // A revision of another storage says nothing of this page.
      const rev = stale?.epoch != null && stale.epoch !== named ? null : (stale?.rev ?? null);
      const isAnother = this.#isAnotherEpoch(named);
      this.#epoch = named ?? this.#epoch;
      this.#polledRev = 0;
      if (isAnother) {
        // Neither is a revision of this storage.
        this.#storedRev = 0;
        this.#markedSeq = 0;
      }
      const before = isAnother ? states.forgetStorage(this.#state) : this.#state;
      this.#set(states.applyNewest(before, page, hasOlder, rev));
      page.forEach((message) => this.#discardEntryOf(message));
    } catch (error) {
      if (load === this.#loads) this.#set(states.failPage(this.#state, toFailure(error)));
      throw error;
    }
  }

  /** Where either is not known there is nothing to compare. */
  #isAnotherEpoch(epoch: string | null): boolean {
    return this.#epoch !== null && epoch !== null && epoch !== this.#epoch;
  }

  /** Nothing here is to be relied on: the newest page, and a socket behind it. */
  #resync(rev: number | null, epoch: string | null): void {
    this.#stale = { rev, epoch };
    this.#connection.replace();
  }

  async #loadOlder(before: number): Promise<void> {
    const load = this.#loads;
    this.#set(states.awaitPage(this.#state, true));
    try {
      const { page, hasOlder, epoch } = await this.#load(`&before=${before}`);
      if (load !== this.#loads) return;
      if (this.#isAnotherEpoch(epoch)) {
        this.#set({ ...this.#state, isLoadingOlder: false, eventsDuringLoad: null });
        this.#resync(null, epoch);
        return;
      }
      this.#set(states.applyOlder(this.#state, page, hasOlder));
      page.forEach((message) => this.#discardEntryOf(message));
    } catch (error) {
      if (load === this.#loads) this.#set(states.failPage(this.#state, toFailure(error)));
    }
  }

  async #poll(): Promise<boolean> {
    // The next try loads the page.
    if (!this.#state.hasPage || this.#stale !== null) return false;
    const load = this.#loads;
    const since = Math.max(this.#state.rev, this.#polledRev);
    const epoch = this.#epoch === null ? '' : `&epoch=${encodeURIComponent(this.#epoch)}`;
    const changed: Message[] = [];
    let rev = since;
    try {
      for (let hasMore = true; hasMore; ) {
        const page = await this.#load(`&since=${rev}${epoch}`);
        if (load !== this.#loads || this.#opened === 0) return false;
        if (this.#isAnotherEpoch(page.epoch)) {
          this.#resync(null, page.epoch);
          return false;
        }
        changed.push(...page.page);
        const last = Math.max(rev, ...page.page.map((message) => message.rev));
        hasMore = page.hasOlder && last > rev;
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

  async #load(query: string): Promise<{ page: Message[]; hasOlder: boolean; epoch: string | null }> {
    const { data, hasMore, epoch } = await this.api.request('GET', `${this.#path}/messages?limit=${PAGE}${query}`);
    if (!Array.isArray(data)) throw new ChatError('network', 0, 'The answer is no list of messages.');
    return { page: data.filter(isMessage), hasOlder: hasMore, epoch };
  }

  #url(): string {
    // What the new socket tells first is its replay.
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

  /** Its entry may go. */
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
      for (const id of this.#reactions.keys()) void this.#askReaction(id);
    } else {
      this.#forgetTyping ??= this.env.setTimeout(() => {
        this.#set({ ...this.#state, typing: { advisor: false, client: false } });
      }, TYPING_MEMORY);
    }
    this.#publish();
    this.#markSeen();
  }

  // ---- What this person does ----

  #post(path: string, body: object): Promise<unknown> {
    return this.api.request('POST', this.#path + path, body).then(({ data }) => data);
  }

  #message(data: unknown): Message {
    if (!isMessage(data)) throw new ChatError('network', 0, 'The answer is no message.');
    return data;
  }

  #stored(message: Message): void {
    this.#set(states.applyStored(this.#state, message));
    this.#storedRev = Math.max(this.#storedRev, message.rev);
    this.#awaitEcho();
  }

  /** A browser does not tell when a socket died without a word; a missing event does. */
  #awaitEcho(): void {
    const rev = this.#storedRev;
    if (!this.#connection.isOpen || rev <= this.#state.rev) return;
    this.#echoTimer ??= this.env.setTimeout(() => {
      this.#echoTimer = null;
      if (this.#connection.isOpen && this.#state.rev < rev) this.#connection.replace();
      else this.#awaitEcho();
    }, ECHO_TIMEOUT);
  }

  async #askReaction(messageId: string): Promise<void> {
    const asked = this.#reactions.get(messageId);
    if (!asked || asked.isBusy) return;
    const { emoji, isWanted } = asked;
    asked.isBusy = true;
    this.#set(states.askReaction(this.#state, messageId, false));
    const path = `${this.#path}/messages/${encodeURIComponent(messageId)}/reactions`;
    const failure = await this.api.request(isWanted ? 'POST' : 'DELETE', path, { emoji }).then(() => null, toFailure);
    const now = this.#reactions.get(messageId)!;
    now.isBusy = false;
    if (now.emoji !== emoji || now.isWanted !== isWanted) {
      // Changed while the request was on its way.
      void this.#askReaction(messageId);
    } else if (!failure) {
      this.#reactions.delete(messageId);
      this.#set(states.askReaction(this.#state, messageId, true));
      // No event of its own comes for what another tab had changed to and away from meanwhile.
      this.env.setTimeout(() => this.#set(states.settleReactions(this.#state)), REACTION_MEMORY);
    } else if (isPassing(failure) && now.tries < MAX_REACTION_TRIES) {
      now.tries += 1;
      // Sooner when the connection comes back.
      this.env.setTimeout(() => void this.#askReaction(messageId), backoff(now.tries, 1));
    } else {
      this.#reactions.delete(messageId);
      this.#set(states.undoReaction(this.#state, messageId));
    }
  }

  /** While this person looks: what is unseen is told to be seen, once for each newest one and socket. */
  #markSeen(): void {
    const newest = states.newestUnseen(this.#state);
    if (!this.#isReading || newest <= this.#markedSeq || this.#opened === 0) return;
    this.#markedSeq = newest;
    if (this.#connection.send({ type: 'seen' })) return;
    this.api.request('POST', `${this.#path}/read`).catch(() => {
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
