// Whatever the network does, everybody ends up with what the server has: a random walk through sends, reactions,
// reading, paging, lost requests, lost answers, dead sockets, restarts and reloads, in an order that a seed gives.
import { expect, it } from 'vitest';
import { Api } from '../../src/core/api';
import type { Environment } from '../../src/core/environment';
import type { Emoji, Participant } from '../../src/core/types';
import { EMOJI } from '../../src/core/types';
import { openOutboxStore } from '../../src/core/outbox_store';
import { LiveThread } from '../../src/core/thread';
import type { FakeSocket, Random } from './world';
import { Clock, ModelServer, Page, FakeSocket as Fake, fakeEnvironment, seeded, settle } from './world';

interface Tab {
  readonly who: Participant;
  readonly thread: LiveThread;
  readonly page: Page;
  readonly sent: string[];
  readonly shown: Set<string>;
}

class Walk {
  readonly clock = new Clock();
  readonly server = new ModelServer(this.clock);
  readonly tabs: Tab[] = [];
  /** What the network has not delivered yet. */
  readonly flights: (() => void)[] = [];
  isFair = false;
  #texts = 0;

  constructor(readonly random: Random) {
    this.server.maxReplay = 15;
    this.server.pageLimit = 12;
    for (const who of [
      { type: 'client', id: 'cli' },
      { type: 'client', id: 'cli' },
      { type: 'advisor', id: 'adv-1' },
      { type: 'advisor', id: 'adv-2' },
    ] as const) {
      this.tabs.push(this.#tab(who));
    }
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)]!;
  }

  #tab(who: Participant): Tab {
    const page = new Page();
    const env: Environment = fakeEnvironment(this.clock, this.random, {
      onPageEvent: page.listen,
      webSocket: (url, protocols) => this.#connect(new Fake(url, protocols)),
      fetch: (input, init) => this.#fetch(who, input as string, init ?? {}),
    });
    const api = new Api(env, 'http://chat.test', { kind: 'session' });
    const me = { ...who, name: who.id };
    const thread = new LiveThread(env, api, openOutboxStore(env), 'ws://chat.test', this.server.conversationId, me);
    const tab: Tab = { who, thread, page, sent: [], shown: new Set() };
    thread.subscribe(() => this.#check(tab));
    return tab;
  }

  // Holds at every moment, not only at the end.
  #check({ thread, sent, shown }: Tab): void {
    const { rows } = thread.snapshot();
    const keys = rows.map(({ key }) => key);
    expect(new Set(keys).size, 'no row is doubled').toBe(keys.length);
    const seqs = rows.map(({ message }) => message.seq || Infinity);
    expect(
      seqs.every((seq, i) => i === 0 || seq >= seqs[i - 1]!),
      'rows are in order',
    ).toBe(true);
    const present = new Set(keys);
    for (const key of sent) {
      if (present.has(key)) shown.add(key);
      else if (shown.has(key)) expect(seqs[0], 'no row is lost').toBeGreaterThan(1);
    }
  }

  #later(run: () => void): void {
    if (this.isFair) queueMicrotask(run);
    else this.flights.push(run);
  }

  #fetch(who: Participant, url: string, init: RequestInit): Promise<Response> {
    return new Promise((found, failed) => {
      const lose = (): void => failed(new TypeError('lost'));
      init.signal?.addEventListener('abort', lose);
      this.#later(() => {
        if (!this.server.isUp || (!this.isFair && this.chance(0.15))) return lose();
        if (!this.isFair && this.chance(0.05)) return found(new Response('<html>busy</html>', { status: 502 }));
        const body = init.body ? (JSON.parse(init.body as string) as Record<string, unknown>) : {};
        const given = this.server.answer(who, init.method ?? 'GET', new URL(url), body);
        this.#later(() => (!this.isFair && this.chance(0.15) ? lose() : found(given)));
      });
    });
  }

  #connect(socket: FakeSocket): FakeSocket {
    this.#later(() => {
      if (socket.readyState !== 0) return;
      if (!this.server.isUp || (!this.isFair && this.chance(0.1))) return socket.end(1006);
      const member = this.server.join(socket);
      socket.accept();
      if (this.isFair) this.deliver(member.queue.length);
    });
    return socket;
  }

  /** Hands over the next events of some sockets, each socket in its order. */
  deliver(most: number): void {
    for (const member of [...this.server.members]) {
      const count = this.isFair ? member.queue.length : Math.floor(this.random() * (most + 1));
      for (let i = 0; i < count && member.queue.length > 0; i += 1) member.socket.say(member.queue.shift()!);
    }
  }

  land(count: number): void {
    for (let i = 0; i < count && this.flights.length > 0; i += 1) {
      const at = Math.floor(this.random() * this.flights.length);
      this.flights.splice(at, 1)[0]!();
    }
  }

  act(): void {
    const tab = this.pick(this.tabs);
    const { thread } = tab;
    const { rows } = thread.snapshot();
    const dice = this.random();
    if (dice < 0.35) {
      this.#texts += 1;
      tab.sent.push(thread.send(`text ${this.#texts}`)!);
    } else if (dice < 0.55) {
      const stored = rows.filter(({ status }) => status === 'sent');
      if (stored.length > 0) thread.toggleReaction(this.pick(stored).message.id, this.pick<Emoji>(EMOJI));
    } else if (dice < 0.65) {
      thread.setReading(this.chance(0.5));
    } else if (dice < 0.75) {
      void thread.loadOlder();
    } else if (dice < 0.8) {
      thread.typed();
    } else if (dice < 0.85) {
      const member = this.pick([...this.server.members]);
      if (member) {
        this.server.leave(member);
        // Some sockets die without a word.
        if (this.chance(0.7)) member.socket.end(this.pick([1001, 1006, 1011, 1012, 4408]));
      }
    } else if (dice < 0.88) {
      this.server.isUp = !this.server.isUp;
      if (!this.server.isUp) {
        for (const member of [...this.server.members]) {
          this.server.leave(member);
          member.socket.end(1006);
        }
      }
    } else if (dice < 0.92) {
      thread.close();
      thread.open();
    } else {
      tab.page.tell(this.pick(['offline', 'online', 'hidden', 'visible', 'focus', 'restored']));
    }
  }

  async run(steps: number): Promise<void> {
    for (const { thread } of this.tabs) thread.open();
    for (let i = 0; i < steps; i += 1) {
      if (this.chance(0.5)) this.act();
      this.deliver(3);
      this.land(Math.floor(this.random() * 4));
      if (this.chance(0.4)) await this.clock.advance(Math.floor(this.random() * 3000));
      else await settle();
    }
    await this.heal();
  }

  async heal(): Promise<void> {
    this.isFair = true;
    this.server.isUp = true;
    for (const { page, thread } of this.tabs) {
      thread.setReading(false);
      page.tell('offline');
      page.tell('online');
    }
    for (let i = 0; i < 60; i += 1) {
      this.land(this.flights.length);
      await settle();
      this.deliver(Infinity);
      await this.clock.advance(2000);
    }
  }
}

const RUNS = Number(process.env.TRAVELCHAT_WALKS ?? 100);

it.each(Array.from({ length: Math.ceil(RUNS / 10) }, (_, i) => i * 10))(
  'walks from %i on end in the truth of the server',
  { timeout: 120_000 },
  async (from) => {
    for (let seed = from; seed < from + 10; seed += 1) {
      const walk = new Walk(seeded(seed + 1));
      await walk.run(250);
      const { messages } = walk.server;
      const all = walk.tabs.flatMap(({ sent }) => sent);
      expect(messages.map(({ clientMessageId }) => clientMessageId).sort(), `seed ${seed}: each once`).toEqual(
        all.sort(),
      );
      for (const { thread, who, sent } of walk.tabs) {
        const snapshot = thread.snapshot();
        const about = `seed ${seed}, ${who.id}`;
        expect(snapshot.connection.phase, about).toBe('open');
        expect(snapshot.loading, about).toBeNull();
        expect(
          snapshot.rows.filter(({ status }) => status !== 'sent'),
          about,
        ).toEqual([]);
        const first = snapshot.rows[0]?.message.seq ?? 1;
        expect(snapshot.hasOlder, about).toBe(first > 1);
        expect(
          snapshot.rows.map(({ message }) => message),
          about,
        ).toEqual(messages.slice(first - 1));
        const own = messages.map(({ clientMessageId }) => clientMessageId!).filter((id) => sent.includes(id));
        expect(own, `${about}: in the order of writing`).toEqual(sent);
        const isUnseen = (m: (typeof messages)[number]): boolean =>
          who.type === 'advisor'
            ? m.senderType === 'client' && !m.isRead
            : m.senderType === 'advisor' && m.seenAt === null;
        expect(snapshot.unseenCount, about).toBe(messages.slice(first - 1).filter(isUnseen).length);
        expect(snapshot.otherTyping, about).toBe(false);
      }
    }
  },
);
