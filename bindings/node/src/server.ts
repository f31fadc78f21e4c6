import { Socket } from 'node:net';
import { ServerResponse, type IncomingMessage, type Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream';

import { addon, type Answer, type NativeEngine, type NativeRequest } from './addon';
import { nativeOf, type ChatEngine } from './engine';
import { callNative, codeOf, ChatError, warn } from './errors';
import type { MaybePromise } from './types';

// ---- The host ----

/** Who is signed in. */
export interface Advisor {
  orgId: string;
  id: string;
  name?: string;
  avatarUrl?: string | null;
  /** Open sockets are closed then with 4401. */
  expiresAt?: Date | number | string | null;
  /** False: the credential was none that a browser adds by itself. Then writes from other origins are let through. */
  byCookie?: boolean;
}

/** What a list of conversations shows of a client. */
export interface ClientCard {
  id: string;
  name: string;
  avatarUrl?: string | null;
  activeTrip?: { id: string; title: string } | null;
}

/** A trip, and how it is shared. */
export interface SharedTrip {
  id: string;
  orgId: string;
  clientId?: string | null;
  title?: string;
  shareEnabled: boolean;
  shareToken: string | null;
  clientName?: string | null;
  advisorName?: string | null;
  advisorAvatarUrl?: string | null;
}

/** What the organization's advisors are told when a client has written. */
export interface PushNotification {
  orgId: string;
  title: string;
  body: string;
  url: string;
}

/** The credentials of a request, as they came. Never log them. */
export interface Credentials {
  cookie: string;
  authorization: string;
}

/**
 * What the chat asks of the application. Each function may answer at once or with a promise; what throws a `ChatError`
 * is answered with its code, anything else with 500.
 */
export interface ChatHost {
  /** Nothing: not signed in. `request` is the one that the credentials came with. */
  authenticate(credentials: Credentials, request: IncomingMessage): MaybePromise<Advisor | null | undefined>;
  findTrip(tripId: string): MaybePromise<SharedTrip | null | undefined>;
  /** Those of `clientIds` that belong to the organization. */
  findClients(orgId: string, clientIds: string[]): MaybePromise<ClientCard[]>;
  /** The ids of clients whose name contains `text`, without regard to case. Left out: only messages are searched. */
  searchClients?(orgId: string, text: string): MaybePromise<string[]>;
  /** A client wrote; nobody waits for the outcome. */
  notify?(notification: PushNotification): MaybePromise<void>;
}

/** How often something may happen within a window. */
export interface RateLimit {
  /** 0: no limit. */
  count: number;
  windowMs?: number;
}

/** What `chatRoutes` and `setupWebSocket` have in common; docs/library.md has the defaults. */
export interface ServerOptions {
  /** Origins that may open sockets and write with a cookie, besides the server's own. */
  allowedOrigins?: string[];
  maxHeaderBytes?: number;
  maxBodyBytes?: number;
  maxFrameBytes?: number;
  maxFragments?: number;
  maxOutboxBytes?: number;
  maxConnections?: number;
  /** Milliseconds, as all times here. */
  pingInterval?: number;
  silenceTimeout?: number;
  closeTimeout?: number;
  /** False: none. */
  rateLimits?:
    | false
    | { messages?: RateLimit; typingFrames?: RateLimit; chatTokens?: RateLimit; socketsPerParticipant?: number };
  /** Told what the host's functions have thrown. Left out: it becomes a process warning. */
  onError?: (error: unknown) => void;
}

const hosts = new WeakMap<ChatEngine, ChatHost>();

// The server on an engine: made by the first who needs it, with its options.
function serve(engine: ChatEngine, host: ChatHost | undefined, options: ServerOptions | undefined): NativeEngine {
  const native = nativeOf(engine);
  const present = hosts.get(engine);
  if (present !== undefined) {
    if (host !== undefined && host !== present) throw new TypeError('this engine has another host already');
    if (options !== undefined && Object.keys(options).length > 0) {
      throw new TypeError('the options belong to the first call of chatRoutes or setupWebSocket');
    }
    return native;
  }
  if (host === undefined) throw new TypeError('host is missing: the first call of chatRoutes or setupWebSocket names it');
  for (const name of ['authenticate', 'findTrip', 'findClients'] as const) {
    if (typeof host[name] !== 'function') throw new TypeError(`host.${name} must be a function`);
  }
  const { onError = warn, ...rest } = options ?? {};
  callNative(() => native.serve(rest, (method, json, context, answer) => ask(host, method, json, context, answer, onError)));
  hosts.set(engine, host);
  return native;
}

function ask(
  host: ChatHost,
  method: string,
  json: string,
  context: object | undefined,
  answer: Answer,
  onError: (error: unknown) => void,
): void {
  void (async () => {
    try {
      answer(null, await question(host, method, JSON.parse(json), context as IncomingMessage));
    } catch (error) {
      // After an answer of the wrong type: it was given for one.
      answer(codeOf(error, 'internal'));
      if (!(error instanceof ChatError)) onError(error);
    }
  })();
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
function question(host: ChatHost, method: string, args: any, request: IncomingMessage): unknown {
  switch (method) {
    case 'authenticate':
      return host.authenticate(args, request);
    case 'findTrip':
      return host.findTrip(args.tripId);
    case 'findClients':
      return host.findClients(args.orgId, args.clientIds);
    case 'searchClients':
      return host.searchClients?.(args.orgId, args.text) ?? [];
    default:
      return host.notify?.(args);
  }
}

// ---- HTTP ----

/** What Express adds to a request, as far as it is used here. */
interface ExpressRequest extends IncomingMessage {
  body?: unknown;
  ip?: string;
  secure?: boolean;
}

/** An Express middleware; also of any framework that calls them in the same way. */
export type Middleware = (request: any, response: any, next: (error?: unknown) => void) => unknown;

function toNative(request: ExpressRequest, body?: Buffer): NativeRequest {
  const remoteAddress = request.ip ?? request.socket.remoteAddress;
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    headers: request.rawHeaders,
    isSecure: request.secure ?? 'encrypted' in request.socket,
    context: request,
    ...(remoteAddress === undefined ? {} : { remoteAddress }),
    ...(body === undefined ? {} : { body }),
  };
}

// Requests of one connection are carried out one after the other. Node sends their answers in order, but hands over what
// was pipelined all at once.
class Turns {
  #isTaken = false;
  readonly #waiting: (() => void)[] = [];

  take(go: () => void): void {
    if (this.#isTaken) {
      this.#waiting.push(go);
    } else {
      this.#isTaken = true;
      go();
    }
  }

  pass(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#isTaken = false;
    else next();
  }
}

// Drops the rest of a body that was not read, then `done`. A connection that is closed while its peer still sends is reset,
// and the answer may be lost with it. Whoever sends for longer than this is cut off nevertheless.
function discard(request: IncomingMessage, done: () => void): void {
  const patience = setTimeout(end, 2_000).unref();
  let left = 8 * 1024 * 1024;
  function take(chunk: Buffer) {
    left -= chunk.length;
    if (left < 0) end();
  }
  function end() {
    clearTimeout(patience);
    request.off('data', take).off('end', end).off('close', end);
    done();
  }
  request.on('data', take).on('end', end).on('close', end).resume();
}

const turnsOf = new WeakMap<object, Turns>();

function turns(socket: object): Turns {
  let found = turnsOf.get(socket);
  if (found === undefined) turnsOf.set(socket, (found = new Turns()));
  return found;
}

/**
 * An Express middleware with all routes of the chat: `app.use(chatRoutes(engine, host))`. What is not the chat's goes on
 * to the next one. Mount it before body parsers, so that bodies are checked by the chat's own rules; a body that was
 * parsed already is taken as it is.
 */
export function chatRoutes(engine: ChatEngine, host?: ChatHost, options?: ServerOptions): Middleware {
  const native = serve(engine, host, options);
  const limit = options?.maxBodyBytes ?? 64 * 1024;
  return (request: ExpressRequest, response: ServerResponse, next: (error?: unknown) => void) => {
    if (!addon().serves(request.url ?? '')) {
      next();
      return;
    }
    const turn = turns(request.socket);
    const handle = (body: Buffer) => turn.take(() => handleNow(body));
    const handleNow = (body: Buffer) => {
      const respond = (status: number, headers: string[], bytes: Buffer | string) => {
        turn.pass();
        if (response.destroyed || response.headersSent) return;
        response.statusCode = status;
        for (let i = 0; i + 1 < headers.length; i += 2) response.setHeader(headers[i] as string, headers[i + 1] as string);
        // Also to HEAD, where Node sends no body that it could count.
        if (status >= 200 && status !== 204 && status !== 304) response.setHeader('Content-Length', Buffer.byteLength(bytes));
        if (request.complete) {
          response.end(bytes);
          return;
        }
        response.setHeader('Connection', 'close');
        response.flushHeaders();
        if (bytes.length > 0) response.write(bytes);
        discard(request, () => response.end());
      };
      try {
        callNative(() => native.handle(toNative(request, body), respond));
      } catch (error) {
        // The engine is closed.
        const { status, message, code } = error instanceof ChatError ? error : new ChatError('internal');
        respond(status, ['Content-Type', 'application/json'], JSON.stringify({ message, code }));
      }
    };
    if (request.body !== undefined || request.readableEnded) {
      handle(Buffer.from(request.body === undefined ? '' : JSON.stringify(request.body)));
      return;
    }
    if (Number(request.headers['content-length'] ?? 0) > limit) {
      handle(Buffer.alloc(0));
      return;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > limit) finish();
    };
    const finish = () => {
      request.off('data', take).off('end', finish);
      request.pause();
      handle(Buffer.concat(chunks, size));
    };
    request.on('data', take).on('end', finish);
  };
}

// ---- WebSockets ----

/** For `setupWebSocket`: what `chatRoutes` takes, too, and who the host is. */
export interface WebSocketOptions extends ServerOptions {
  /** Needed when `chatRoutes` was not called before. */
  host?: ChatHost;
}

/**
 * Takes the chat's WebSockets (`/ws/chat`, `/ws/inbox`) over from an HTTP server. A plain connection is handed to the
 * native transport and costs the event loop nothing from then on; one whose TLS ends in Node passes through it as bytes.
 * Other upgrades are left to other listeners. Gives a function that stops taking new ones.
 */
export function setupWebSocket(
  httpServer: HttpServer | HttpsServer,
  engine: ChatEngine,
  options: WebSocketOptions = {},
): () => void {
  const { host, ...rest } = options;
  const native = serve(engine, host, rest);
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!addon().serves(request.url ?? '')) {
      if (httpServer.listenerCount('upgrade') === 1) {
        socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      }
      return;
    }
    // Answers to requests before this one leave first.
    if (socket.writableLength > 0) socket.once('drain', () => handOver(native, request, socket, head));
    else handOver(native, request, socket, head);
  };
  httpServer.on('upgrade', upgrade);
  return () => httpServer.off('upgrade', upgrade);
}

interface Handle {
  readonly fd?: number;
  readStop(): unknown;
}

function handOver(native: NativeEngine, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const handle = (socket as Duplex & { _handle?: Handle | null })._handle;
  const asked = toNative(request);
  try {
    if (!('encrypted' in socket) && handle?.fd !== undefined && handle.fd >= 0) {
      handle.readStop();
      native.adopt(handle.fd, asked, head);
      // The connection lives on in the duplicate.
      socket.destroy();
      return;
    }
    const end = native.bridge(asked, head);
    if (typeof end !== 'number') {
      socket.destroy();
      return;
    }
    const inner = new Socket({ fd: end, readable: true, writable: true, allowHalfOpen: true });
    // Either side's error ends both; there is nobody to tell.
    pipeline(socket, inner, () => undefined);
    pipeline(inner, socket, () => undefined);
  } catch {
    // A closed engine.
    socket.destroy();
  }
}

// ---- An Express application as the host ----

/** What `expressHost` makes a host of: the functions that a Travel Lab application has. */
export interface ExpressHost {
  /**
   * What must have run before `isAuthenticated`: the session, passport. They run on the requests of WebSockets, which
   * Express does not see, and do nothing twice on those that it does.
   */
  session?: Middleware[];
  isAuthenticated: Middleware;
  orgMiddleware: Middleware;
  /** Who it is, once both have let the request pass. */
  advisor(request: any): MaybePromise<Omit<Advisor, 'byCookie'>>;
  getTripFullView(tripId: string): MaybePromise<
    | {
        trip: {
          id: string;
          orgId: string;
          clientId?: string | null;
          title?: string | null;
          shareEnabled?: boolean | null;
          shareToken?: string | null;
        };
        client?: { fullName?: string | null } | null;
        advisor?: { fullName?: string | null; avatarUrl?: string | null } | null;
      }
    | null
    | undefined
  >;
  getClient(
    clientId: string,
    orgId: string,
  ): MaybePromise<{ id: string; fullName: string; avatarUrl?: string | null } | null | undefined>;
  /** For the banner of a conversation. */
  getActiveTrip?(clientId: string, orgId: string): MaybePromise<{ id: string; title: string } | null | undefined>;
  searchClients?(orgId: string, text: string): MaybePromise<string[]>;
  sendPushToOrg(orgId: string, notification: { title: string; body: string; url: string }): MaybePromise<unknown>;
}

/** A host made of what an Express application has: its middlewares and its storage's functions. */
export function expressHost(app: ExpressHost): ChatHost {
  const chain = [...(app.session ?? []), app.isAuthenticated, app.orgMiddleware];
  return {
    async authenticate(credentials, request) {
      if (!(await passes(chain, request))) return null;
      // A cookie comes with every request, also with one that somebody else's page has caused.
      return { ...(await app.advisor(request)), byCookie: credentials.cookie !== '' };
    },
    async findTrip(tripId) {
      const view = await app.getTripFullView(tripId);
      if (view === null || view === undefined) return null;
      const { trip, client, advisor } = view;
      return {
        id: trip.id,
        orgId: trip.orgId,
        clientId: trip.clientId ?? null,
        title: trip.title ?? '',
        shareEnabled: trip.shareEnabled ?? false,
        shareToken: trip.shareToken ?? null,
        clientName: client?.fullName ?? null,
        advisorName: advisor?.fullName ?? null,
        advisorAvatarUrl: advisor?.avatarUrl ?? null,
      };
    },
    async findClients(orgId, clientIds) {
      const cards = await Promise.all(
        clientIds.map(async (id): Promise<ClientCard | undefined> => {
          const [client, trip] = await Promise.all([app.getClient(id, orgId), app.getActiveTrip?.(id, orgId)]);
          if (client === null || client === undefined) return undefined;
          return { id, name: client.fullName, avatarUrl: client.avatarUrl ?? null, activeTrip: trip ?? null };
        }),
      );
      return cards.filter((card) => card !== undefined);
    },
    searchClients: (orgId, text) => app.searchClients?.(orgId, text) ?? [],
    async notify({ orgId, title, body, url }) {
      await app.sendPushToOrg(orgId, { title, body, url });
    },
  };
}

// Whether every middleware lets the request pass. One that answers instead has refused it; what it answers is dropped,
// since the chat's own answer is what the contract says.
function passes(chain: Middleware[], request: IncomingMessage): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const response = new ServerResponse(request);
    const refuse = () => {
      resolve(false);
      return response;
    };
    Object.assign(response, {
      status: () => response,
      end: refuse,
      send: refuse,
      json: refuse,
      sendStatus: refuse,
      redirect: refuse,
      render: refuse,
    });
    const step = (index: number) => {
      const middleware = chain[index];
      if (middleware === undefined) {
        resolve(true);
        return;
      }
      try {
        const done = middleware(request, response, (error?: unknown) => (error ? reject(error) : step(index + 1)));
        if (done instanceof Promise) done.catch(reject);
      } catch (error) {
        reject(error);
      }
    };
    step(0);
  });
}
