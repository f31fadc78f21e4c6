// A page with one conversation in it. The network works until the test makes it fail.
import { Api } from '../../src/core/api';
import type { Environment } from '../../src/core/environment';
import { openOutboxStore } from '../../src/core/outbox_store';
import { LiveThread } from '../../src/core/thread';
import type { Message, Participant } from '../../src/core/types';
import { Clock, FakeSocket, FakeStorage, ModelServer, Page, fakeEnvironment, seeded, settle } from './world';

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Record<string, unknown>;
  readonly init: RequestInit;
}

export class Site {
  readonly clock = new Clock();
  readonly server = new ModelServer(this.clock);
  readonly page = new Page();
  readonly storage = new FakeStorage();
  readonly sockets: FakeSocket[] = [];
  readonly requests: Request[] = [];
  /** What a socket gets: 'join', a close code, or nothing at all. */
  socketReply: 'join' | 'silence' | number = 'join';
  /** Before the server: null lets the request pass. */
  reply: (request: Request) => Response | 'lose' | null | Promise<Response | 'lose' | null> = () => null;
  readonly env: Environment;
  #aliveAt = this.clock.now + 25_000;

  constructor(
    readonly who: Participant = { type: 'client', id: 'cli' },
    more: Partial<Environment> = {},
  ) {
    this.env = fakeEnvironment(this.clock, seeded(5), {
      random: () => 0.5,
      onPageEvent: this.page.listen,
      localStorage: this.storage,
      webSocket: (url, protocols) => this.#connect(new FakeSocket(url, protocols)),
      fetch: (input, init) => this.#fetch(input as string, init ?? {}),
      ...more,
    });
  }

  makeThread(): LiveThread {
    const api = new Api(this.env, 'http://chat.test', { kind: 'session' });
    const me = { ...this.who, name: this.who.id };
    return new LiveThread(this.env, api, openOutboxStore(this.env), 'ws://chat.test', this.server.conversationId, me);
  }

  /** A thread that is open. */
  async open(): Promise<LiveThread> {
    const thread = this.makeThread();
    thread.open();
    await this.turn();
    return thread;
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1)!;
  }

  other(content: string): Message {
    const type = this.who.type === 'client' ? 'advisor' : 'client';
    return this.server.send({ type, id: `other-${type}` }, content, null)!.message;
  }

  get otherSide(): Participant {
    return this.who.type === 'client'
      ? { type: 'advisor', id: 'other-advisor' }
      : { type: 'client', id: 'other-client' };
  }

  /** Delivers everything that is on its way. */
  async turn(): Promise<void> {
    for (let i = 0; i < 6; i += 1) {
      await settle();
      for (const member of [...this.server.members]) {
        while (member.queue.length > 0) member.socket.say(member.queue.shift()!);
      }
    }
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 250) {
      await this.clock.advance(Math.min(250, left));
      if (this.clock.now >= this.#aliveAt) {
        this.#aliveAt += 25_000;
        this.server.sayAlive();
      }
      await this.turn();
    }
  }

  /** The socket is gone; the page hears of it unless it died without a word. */
  cut(code: number | null = 1006): void {
    for (const member of [...this.server.members]) {
      this.server.leave(member);
      if (code !== null) member.socket.end(code);
    }
  }

  asked(method: string, path: string): Request[] {
    return this.requests.filter((request) => request.method === method && request.path.endsWith(path));
  }

  #connect(socket: FakeSocket): FakeSocket {
    this.sockets.push(socket);
    queueMicrotask(() => {
      if (socket.readyState !== 0 || this.socketReply === 'silence') return;
      if (this.socketReply === 'join') {
        this.server.join(socket);
        socket.accept();
      } else {
        socket.accept();
        socket.end(this.socketReply);
      }
    });
    return socket;
  }

  async #fetch(input: string, init: RequestInit): Promise<Response> {
    const url = new URL(input);
    const { pathname: path, searchParams: query } = url;
    const body = init.body ? (JSON.parse(init.body as string) as Record<string, unknown>) : {};
    const request = { method: init.method ?? 'GET', path, query, body, init };
    this.requests.push(request);
    const reply = await this.reply(request);
    if (reply === 'lose') throw new TypeError('lost');
    return reply ?? this.server.answer(this.who, request.method, url, body);
  }
}
