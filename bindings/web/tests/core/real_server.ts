// The reference server itself, with a demonstration in a folder of its own, and people who use it from Node.
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import type { ChatClientOptions, ChatGrant, Environment } from '../../src/core';
import { ChatClient } from '../../src/core';
import type { Socket } from '../../src/core/environment';

export const serverBinary =
  process.env.TRAVELCHAT_SERVER ??
  resolve(import.meta.dirname, '../../../../build/release/examples/travel-lab/server/travelchat-server');

/** A server that TRAVELCHAT_SERVER names must exist. Without a name, these tests are skipped where none is built. */
export const hasServer = process.env.TRAVELCHAT_SERVER !== undefined || existsSync(serverBinary);

interface Demo {
  readonly advisors: {
    readonly email: string;
    readonly password: string;
    readonly id: string;
    readonly orgId: string;
  }[];
  readonly trips: {
    readonly id: string;
    readonly shareToken: string;
    readonly clientId: string;
    readonly clientName: string;
    readonly orgId: string;
  }[];
}

export interface Advisor {
  readonly id: string;
  readonly name: string;
  readonly orgId: string;
  readonly cookie: string;
}

export class RealServer {
  url = '';
  demo: Demo = { advisors: [], trips: [] };
  readonly #folder = mkdtempSync(join(tmpdir(), 'travelchat-web-'));
  #process: ChildProcess | null = null;
  #port = 0;
  #arguments: string[] = [];

  static async start(...options: string[]): Promise<RealServer> {
    const server = new RealServer();
    server.#arguments = options;
    await server.restart();
    server.demo = (await (await fetch(`${server.url}/api/demo`)).json()) as Demo;
    return server;
  }

  /** On the port that it had. */
  async restart(): Promise<void> {
    const address = `127.0.0.1:${this.#port}`;
    const fixed = ['--demo', '--rate-limits', 'off', '--log-level', 'error'];
    const child = spawn(serverBinary, ['--listen', address, '--data', this.#folder, ...fixed, ...this.#arguments], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#process = child;
    this.url = await new Promise((found, failed) => {
      child.once('error', failed);
      child.once('exit', (code) => failed(new Error(`The server ended with ${code}.`)));
      createInterface({ input: child.stdout }).on('line', (line) => {
        const ready = /^travelchat ready (http:\S+)/.exec(line);
        if (ready) found(ready[1]!);
      });
    });
    this.#port = Number(new URL(this.url).port);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((end) => child.once('exit', end));
    child.kill(signal);
    await gone;
  }

  async stop(): Promise<void> {
    await this.kill('SIGTERM');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async signIn(index = 0): Promise<Advisor> {
    const { email, password, id, orgId } = this.demo.advisors[index]!;
    const answer = await fetch(`${this.url}/api/login`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ email, password }),
    });
    const cookie = answer.headers.getSetCookie()[0]!.split(';')[0]!;
    return { id, name: email, orgId, cookie };
  }

  async grant(trip = this.demo.trips[0]!): Promise<ChatGrant> {
    const query = new URLSearchParams({ tripId: trip.id, shareToken: trip.shareToken });
    const answer = await fetch(`${this.url}/api/chat-token?${query}`);
    return (await answer.json()) as ChatGrant;
  }
}

/** Node has no cookies and no sockets with headers: these carry the advisor's. */
export function nodeEnvironment(cookie: string | null, more: Partial<Environment> = {}): Partial<Environment> {
  const headers: Record<string, string> = cookie === null ? {} : { cookie };
  return {
    fetch: (input, init) =>
      fetch(input, { ...init, headers: { ...(init?.headers as Record<string, string>), ...headers } }),
    webSocket: (url, protocols) => new WebSocket(url, protocols, { headers }) as unknown as Socket,
    indexedDB: null,
    ...more,
  };
}

export function advisorClient(server: RealServer, advisor: Advisor, more: Partial<Environment> = {}): ChatClient {
  return new ChatClient({
    baseUrl: server.url,
    me: { type: 'advisor', id: advisor.id, name: advisor.name },
    credential: { kind: 'session' },
    environment: nodeEnvironment(advisor.cookie, more),
  });
}

export function clientClient(
  server: RealServer,
  grant: ChatGrant,
  renew: () => Promise<string> = () => Promise.reject(new Error('no renewal')),
  more: Partial<Environment> = {},
  options: Partial<ChatClientOptions> = {},
): ChatClient {
  return new ChatClient({
    baseUrl: server.url,
    me: { type: 'client', id: grant.clientId, name: grant.clientName ?? '' },
    credential: { kind: 'chatToken', token: grant.chatToken, renew },
    environment: nodeEnvironment(null, more),
    ...options,
  });
}
