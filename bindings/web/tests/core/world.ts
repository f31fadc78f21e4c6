// Stands in for browser and network: a clock that the test moves, random numbers from a seed, a server in memory that
// follows docs/protocol.md, and a network that delays, loses, cuts and reorders whatever may be reordered.
import type { Environment, PageEvent, Socket, Timer } from '../../src/core/environment';
import type { ChatEvent, ClientFrame } from '../../src/core/events';
import type { Emoji, Message, Participant, Reaction } from '../../src/core/types';
import { nullsOfMessage } from '../../src/core/wire';

export type Random = () => number;

/** Mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Lets everything run that waits for promises alone. */
export const settle = (): Promise<void> => new Promise((done) => setImmediate(done));

export class Clock {
  now = Date.parse('2026-11-23T10:00:00.000Z');
  #timers = new Map<number, { at: number; run: () => void }>();
  #last = 0;

  readonly setTimeout = (run: () => void, ms: number): Timer => {
    this.#last += 1;
    this.#timers.set(this.#last, { at: this.now + Math.max(0, ms), run });
    return this.#last as unknown as Timer;
  };

  readonly clearTimeout = (timer: Timer): void => {
    this.#timers.delete(timer as unknown as number);
  };

  get pending(): number {
    return this.#timers.size;
  }

  /** Runs what is due until then, in order, and what that makes due. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      await settle();
      const due = [...this.#timers]
        .filter(([, { at }]) => at <= end)
        .sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.now = Math.max(this.now, due[1].at);
      due[1].run();
    }
    this.now = end;
    await settle();
  }
}

/** A socket whose server side is the test. */
export class FakeSocket implements Socket {
  readyState = 0;
  onopen: Socket['onopen'] = null;
  onmessage: Socket['onmessage'] = null;
  onclose: Socket['onclose'] = null;
  onerror: Socket['onerror'] = null;
  readonly sent: ClientFrame[] = [];
  /** The page closed it. */
  onDropped: () => void = () => {};
  onFrame: (frame: ClientFrame) => void = () => {};

  constructor(
    readonly url: string,
    readonly protocols: string[],
  ) {}

  get query(): URLSearchParams {
    return new URL(this.url).searchParams;
  }

  send(data: string): void {
    const frame = JSON.parse(data) as ClientFrame;
    this.sent.push(frame);
    this.onFrame(frame);
  }

  close(): void {
    if (this.readyState >= 2) return;
    this.readyState = 3;
    this.onDropped();
    // As a browser does: the page hears of its own close, too late to mean anything.
    queueMicrotask(() => this.onclose?.({ code: 1006 } as never));
  }

  accept(): void {
    this.readyState = 1;
    this.onopen?.({} as never);
  }

  say(event: object): void {
    if (this.readyState === 1) this.onmessage?.({ data: JSON.stringify(event) } as never);
  }

  end(code: number): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code } as never);
  }
}

export class Page {
  #listeners = new Set<(event: PageEvent) => void>();
  readonly listen = (listener: (event: PageEvent) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  get isListenedTo(): boolean {
    return this.#listeners.size > 0;
  }

  tell(event: PageEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

export class FakeStorage implements Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'> {
  readonly items = new Map<string, string>();
  get length(): number {
    return this.items.size;
  }
  key(at: number): string | null {
    return [...this.items.keys()][at] ?? null;
  }
  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }
  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }
  removeItem(key: string): void {
    this.items.delete(key);
  }
}

export function fakeEnvironment(clock: Clock, random: Random, more: Partial<Environment>): Environment {
  let ids = 0;
  const tag = Math.floor(random() * 2 ** 32).toString(16);
  return {
    now: () => clock.now,
    setTimeout: clock.setTimeout,
    clearTimeout: clock.clearTimeout,
    random,
    newId: () => `${tag}-${(ids += 1)}`,
    fetch: () => Promise.reject(new TypeError('no network')),
    webSocket: (url, protocols) => new FakeSocket(url, protocols),
    indexedDB: null,
    locks: null,
    openChannel: () => null,
    localStorage: null,
    origin: 'http://chat.test',
    onPageEvent: () => () => {},
    ...more,
  };
}

export const answer = (status: number, body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } });

export const refusal = (status: number, code: string, headers: Record<string, string> = {}): Response =>
  answer(status, { code, message: code }, headers);

interface Member {
  readonly socket: FakeSocket;
  readonly who: Participant;
  readonly queue: object[];
  isTyping: boolean;
}

/** One conversation, as docs/protocol.md has it. */
export class ModelServer {
  readonly conversationId = '019345a0-0000-7000-8000-000000000001';
  messages: Message[] = [];
  rev = 0;
  /** null: a server from before there were any. */
  epoch: string | null = null;
  isUp = true;
  /** More changes than this are not replayed. */
  maxReplay = 1000;
  pageLimit = 200;
  readonly members = new Set<Member>();
  /** By rev - 1: what changed. */
  #log: ((rev: number) => ChatEvent)[] = [];
  #last = 0;

  constructor(private readonly clock: Clock) {}

  get time(): string {
    return new Date(this.clock.now).toISOString();
  }

  #id(): string {
    this.#last += 1;
    return `019345a0-7b2c-7abc-8def-${String(this.#last).padStart(12, '0')}`;
  }

  #changed(make: (rev: number) => ChatEvent): void {
    this.#log.push(make);
    const event = make(this.rev);
    for (const member of this.members) member.queue.push(event);
  }

  /** A backup that knows only this many messages takes its place; what was not a message is not in it. */
  restore(count: number, epoch: string | null): void {
    this.messages = this.messages.slice(0, count).map((message, at) => ({ ...message, reactions: [], rev: at + 1 }));
    this.#log = this.messages.map(({ seq }) => (rev) => ({
      type: 'new_message',
      message: this.messages[seq - 1]!,
      rev,
    }));
    this.rev = count;
    this.epoch = epoch;
  }

  #setMessage(at: number, change: Partial<Message>): void {
    this.messages = this.messages.with(at, { ...this.messages[at]!, ...change, rev: this.rev });
  }

  send(who: Participant, content: string, clientMessageId: string | null): { status: number; message: Message } | null {
    const known = this.messages.find(
      (message) =>
        clientMessageId !== null &&
        message.clientMessageId === clientMessageId &&
        message.senderType === who.type &&
        message.senderId === who.id,
    );
    if (known) return known.content === content ? { status: 200, message: known } : null;
    this.rev += 1;
    const message: Message = {
      ...nullsOfMessage,
      id: this.#id(),
      conversationId: this.conversationId,
      orgId: 'org',
      senderType: who.type,
      senderId: who.id,
      senderName: who.id,
      content,
      isRead: false,
      createdAt: this.time,
      reactions: [],
      seq: this.messages.length + 1,
      rev: this.rev,
      clientMessageId,
    };
    this.messages = [...this.messages, message];
    const at = this.messages.length - 1;
    this.#changed((rev) => ({ type: 'new_message', message: this.messages[at]!, rev }));
    return { status: 201, message };
  }

  react(who: Participant, messageId: string, emoji: Emoji | null): readonly Reaction[] | null {
    const at = this.messages.findIndex(({ id }) => id === messageId);
    const message = this.messages[at];
    if (!message) return null;
    const isMine = (r: Reaction): boolean => r.reactorType === who.type && r.reactorId === who.id;
    const mine = message.reactions.find(isMine);
    if ((mine?.emoji ?? null) === emoji) return message.reactions;
    const others = message.reactions.filter((r) => !isMine(r));
    const reaction: Reaction | null = emoji && {
      id: mine?.id ?? this.#id(),
      messageId,
      conversationId: this.conversationId,
      orgId: 'org',
      reactorType: who.type,
      reactorId: who.id,
      reactorName: who.id,
      emoji,
      createdAt: this.time,
    };
    this.rev += 1;
    this.#setMessage(at, { reactions: reaction ? [...others, reaction] : others });
    this.#changed((rev) => ({ type: 'reaction_update', messageId, reactions: this.messages[at]!.reactions, rev }));
    return this.messages[at]!.reactions;
  }

  mark(who: Participant): void {
    const { time } = this;
    const isMeant = (message: Message): boolean =>
      who.type === 'client'
        ? message.senderType === 'advisor' && message.seenAt === null
        : message.senderType === 'client' && !message.isRead;
    if (!this.messages.some(isMeant)) return;
    this.rev += 1;
    this.messages.forEach((message, at) => {
      if (isMeant(message)) this.#setMessage(at, who.type === 'client' ? { seenAt: time } : { isRead: true });
    });
    this.#changed((rev) =>
      who.type === 'client' ? { type: 'seen', seenAt: time, rev } : { type: 'read', readAt: time, rev },
    );
  }

  /** A durable event of a type that only later versions know. */
  sendUnknownEvent(): void {
    this.rev += 1;
    this.#changed((rev) => ({ type: 'message_pinned', rev }) as unknown as ChatEvent);
  }

  answer(who: Participant, method: string, url: URL, body: Record<string, unknown>): Response {
    const path = url.pathname.replace(`/api/conversations/${this.conversationId}`, '').replace(/\/client$/, '');
    if (method === 'GET' && path === '/messages') {
      const asked = url.searchParams.get('epoch');
      if (asked !== null && this.epoch !== null && asked !== this.epoch) return refusal(409, 'epoch_changed');
      const since = url.searchParams.get('since');
      if (since !== null) return this.#changes(Number(since), Number(url.searchParams.get('limit')));
      const before = Number(url.searchParams.get('before') ?? Infinity);
      const below = this.messages.filter(({ seq }) => seq < before);
      const limit = Math.min(Number(url.searchParams.get('limit')), this.pageLimit);
      return answer(200, below.slice(-limit), {
        'x-has-more': String(below.length > limit),
        ...(this.epoch !== null && { 'x-epoch': this.epoch }),
      });
    }
    if (method === 'POST' && path === '/messages') {
      const sent = this.send(who, body.content as string, (body.clientMessageId as string) ?? null);
      return sent ? answer(sent.status, sent.message) : refusal(409, 'idempotency_conflict');
    }
    if (method === 'POST' && path === '/read') {
      this.mark(who);
      return answer(200, { ok: true });
    }
    const reactions = /^\/messages\/([^/]+)\/reactions$/.exec(path);
    if (reactions) {
      const now = this.react(who, reactions[1]!, method === 'POST' ? (body.emoji as Emoji) : null);
      return now ? answer(200, now) : refusal(404, 'not_found');
    }
    return refusal(404, 'not_found');
  }

  #changes(since: number, asked: number): Response {
    const changed = this.messages.filter(({ rev }) => rev > since).sort((a, b) => a.rev - b.rev);
    let limit = Math.min(asked, this.pageLimit);
    // What one mark changed stays on one page.
    while (limit < changed.length && changed[limit]!.rev === changed[limit - 1]!.rev) limit += 1;
    if (limit > 1000) return refusal(409, 'too_many_changes');
    return answer(200, changed.slice(0, limit), {
      'x-has-more': String(changed.length > limit),
      ...(this.epoch !== null && { 'x-epoch': this.epoch }),
    });
  }

  /** Told by time: every 25 s. */
  sayAlive(): void {
    for (const member of this.members) member.queue.push({ type: 'alive', intervalMs: 25_000 });
  }

  /** What the socket hears first; the rest comes by and by. */
  join(socket: FakeSocket): Member {
    const type = socket.query.get('userType') as Participant['type'];
    const member: Member = { socket, who: { type, id: socket.query.get('userId')! }, queue: [], isTyping: false };
    const since = Number(socket.query.get('since'));
    member.queue.push(this.#typing());
    const asked = socket.query.get('epoch');
    const isOther = this.epoch !== null && asked !== null && asked !== this.epoch;
    const epoch = this.epoch === null ? {} : { epoch: this.epoch };
    if (this.rev - since > this.maxReplay || since > this.rev || isOther) {
      member.queue.push({ type: 'resync', rev: this.rev, ...epoch });
    } else {
      for (let rev = since + 1; rev <= this.rev; rev += 1) member.queue.push(this.#log[rev - 1]!(rev));
      member.queue.push({ type: 'caught_up', rev: this.rev, ...epoch });
    }
    this.members.add(member);
    socket.onDropped = () => this.leave(member);
    socket.onFrame = (frame) => this.#onFrame(member, frame);
    return member;
  }

  leave(member: Member): void {
    this.members.delete(member);
    if (member.isTyping) this.#setTyping(member, false);
  }

  #onFrame(member: Member, frame: ClientFrame): void {
    if (!this.members.has(member)) return;
    if (frame.type === 'seen') this.mark(member.who);
    else this.#setTyping(member, frame.isTyping);
  }

  #typing(): ChatEvent {
    const types = (type: string): boolean =>
      [...this.members].some(({ who, isTyping }) => isTyping && who.type === type);
    return { type: 'typing', advisorTyping: types('advisor'), clientTyping: types('client') };
  }

  #setTyping(member: Member, isTyping: boolean): void {
    const before = JSON.stringify(this.#typing());
    member.isTyping = isTyping;
    const after = this.#typing();
    if (JSON.stringify(after) === before) return;
    for (const other of this.members) if (other !== member) other.queue.push(after);
  }
}

interface LockRequest {
  readonly run: (lock: Lock | null) => unknown;
  readonly found: (result: unknown) => void;
  readonly failed: (reason: unknown) => void;
}

/** Web Locks of one origin: one holder of a name at a time, the others in the order in which they asked; who steals one
 * comes before them. */
export class FakeLocks {
  readonly #names = new Map<string, { holder: LockRequest | null; waiting: LockRequest[] }>();

  request = ((name: string, options: LockOptions, run: LockRequest['run']): Promise<unknown> => {
    const { ifAvailable = false, steal = false, signal } = options;
    const state = this.#names.get(name) ?? { holder: null, waiting: [] };
    this.#names.set(name, state);
    return new Promise((found, failed) => {
      signal?.throwIfAborted();
      const own = { run, found, failed };
      if (steal) {
        state.holder?.failed(new DOMException('It was stolen.', 'AbortError'));
        this.#grant(name, own);
      } else if (state.holder === null) {
        this.#grant(name, own);
      } else if (ifAvailable) {
        found(run(null));
      } else {
        state.waiting.push(own);
        signal?.addEventListener('abort', () => {
          const at = state.waiting.indexOf(own);
          if (at < 0) return;
          state.waiting.splice(at, 1);
          failed(signal.reason);
        });
      }
    });
  }) as LockManager['request'];

  #grant(name: string, own: LockRequest): void {
    const state = this.#names.get(name)!;
    state.holder = own;
    void (async () => {
      await Promise.resolve();
      try {
        own.found(await own.run({ name, mode: 'exclusive' }));
      } catch (error) {
        own.failed(error);
      }
      if (state.holder !== own) return;
      state.holder = null;
      const next = state.waiting.shift();
      if (next) this.#grant(name, next);
    })();
  }
}

/** A page that the browser suspends: events that come meanwhile are delivered when it goes on. */
export class Suspension {
  #later: (() => void)[] | null = null;

  readonly run = (task: () => void): void => {
    if (this.#later) this.#later.push(task);
    else task();
  };

  begin(): void {
    this.#later = [];
  }

  end(): void {
    const later = this.#later ?? [];
    this.#later = null;
    for (const task of later) task();
  }
}

/** BroadcastChannel among the tabs of one origin: everyone hears it but the one who spoke. */
export class FakeChannels {
  readonly #open = new Set<{ name: string; channel: BroadcastChannel; deliver: (task: () => void) => void }>();

  readonly make = (name: string, deliver: (task: () => void) => void = queueMicrotask): BroadcastChannel => {
    const tab = { name, channel: null as unknown as BroadcastChannel, deliver };
    tab.channel = {
      onmessage: null,
      postMessage: (message: unknown) => {
        const data: unknown = structuredClone(message);
        for (const other of this.#open) {
          if (other.name !== name || other === tab) continue;
          other.deliver(() => {
            if (this.#open.has(other)) other.channel.onmessage?.({ data } as MessageEvent);
          });
        }
      },
      close: () => this.#open.delete(tab),
    } as unknown as BroadcastChannel;
    this.#open.add(tab);
    return tab.channel;
  };
}

/** Waits for what takes the turns of the event loop that IndexedDB takes. */
export async function eventually(holds: () => boolean, about = ''): Promise<void> {
  for (let i = 0; i < 2000; i += 1) {
    if (holds()) return;
    await settle();
  }
  throw new Error(`never came: ${about || holds}`);
}
