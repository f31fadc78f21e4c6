import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import type { Server as HttpsServer } from 'node:https';

import type { ChatEngine } from './engine';
import { setWrappedListeners } from './express_app';
import type { ChatHost, Middleware, ServerOptions } from './host';
import { cookiesFor } from './middlewares';
import { ServerAdapter, type PendingRequest } from './server_adapter';
import { mustBeServer, setupWebSocket } from './websocket';

// Starts the requests of one connection one after the other. Node sends answers in order, but emits pipelined requests
// all at once.
class RequestQueue {
  #isBusy = false;
  readonly #waiting: (() => void)[] = [];

  /** Calls `start` once no request before it is being carried out. */
  enter(start: () => void): void {
    if (this.#isBusy) {
      this.#waiting.push(start);
    } else {
      this.#isBusy = true;
      start();
    }
  }

  /** The request that was started last is answered. */
  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#isBusy = false;
    else next();
  }
}

// Drops the rest of a body that was not read, then calls `done`. Without this, closing the connection while its peer
// still sends would reset it, and the answer could be lost. After 2 s or 8 MiB it is closed all the same.
function discard(request: IncomingMessage, done: () => void): void {
  const timer = setTimeout(onEnd, 2_000).unref();
  let left = 8 * 1024 * 1024;
  function onData(chunk: Buffer) {
    left -= chunk.length;
    if (left < 0) onEnd();
  }
  function onEnd() {
    clearTimeout(timer);
    request.off('data', onData).off('end', onEnd).off('close', onEnd);
    done();
  }
  request.on('data', onData).on('end', onEnd).on('close', onEnd).resume();
}

const queues = new WeakMap<object, RequestQueue>();

function queueOf(socket: object): RequestQueue {
  let found = queues.get(socket);
  if (found === undefined) queues.set(socket, (found = new RequestQueue()));
  return found;
}

// The chat has few different sets of headers, so parsed ones are cached.
const parsedHeaders = new Map<string, Readonly<Record<string, string | string[]>>>();

function parseHeaders(lines: string): Readonly<Record<string, string | string[]>> {
  let headers = parsedHeaders.get(lines);
  if (headers === undefined) {
    const parsed: Record<string, string | string[]> = {};
    const parts = lines === '' ? [] : lines.split('\n');
    for (let i = 0; i + 1 < parts.length; i += 2) {
      const name = parts[i] as string;
      const value = parts[i + 1] as string;
      const before = parsed[name];
      parsed[name] = before === undefined ? value : [before, value].flat();
    }
    headers = parsed;
    if (parsedHeaders.size >= 256) parsedHeaders.clear();
    parsedHeaders.set(lines, headers);
  }
  return headers;
}

// One request of the chat's: reads its body, hands it over, and writes the answer.
class Exchange implements PendingRequest {
  readonly #queue: RequestQueue;
  readonly #chunks: Buffer[] = [];
  #size = 0;

  constructor(
    readonly request: IncomingMessage & { body?: unknown },
    readonly response: ServerResponse,
    readonly adapter: ServerAdapter,
  ) {
    this.#queue = queueOf(request.socket);
  }

  begin(): void {
    const { request, adapter } = this;
    if (request.body !== undefined || request.readableEnded) {
      this.#handle(Buffer.from(request.body === undefined ? '' : JSON.stringify(request.body)));
      return;
    }
    if (Number(request.headers['content-length'] ?? 0) > adapter.maxBodyBytes) {
      this.#handle(undefined);
      return;
    }
    request.on('data', this.#onData).on('end', this.#onEnd);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size > this.adapter.maxBodyBytes) this.#onEnd();
  };

  readonly #onEnd = (): void => {
    const { request } = this;
    // The rest of a body that is longer than allowed is not read here.
    if (!request.readableEnded) request.off('data', this.#onData).off('end', this.#onEnd).pause();
    this.#handle(this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks, this.#size));
  };

  #handle(body: Buffer | undefined): void {
    this.#queue.enter(() => this.adapter.handle(this, body));
  }

  respond(status: number, headers: string, body: string): void {
    const { request, response } = this;
    this.#queue.leave();
    if (response.destroyed || response.headersSent) return;
    const fields = { ...parseHeaders(headers) };
    const cookies = cookiesFor(request);
    if (cookies !== undefined) response.appendHeader('Set-Cookie', cookies);
    // Set explicitly for HEAD, too, where Node sends no body and so would not count it.
    if (status >= 200 && status !== 204 && status !== 304) fields['Content-Length'] = String(body.length);
    if (request.complete) {
      response.writeHead(status, fields).end(body, 'latin1');
      return;
    }
    fields['Connection'] = 'close';
    response.writeHead(status, fields);
    response.flushHeaders();
    if (body !== '') response.write(body, 'latin1');
    discard(request, () => response.end());
  }
}

/**
 * An Express middleware with all routes of the chat: `app.use(chatRoutes(engine, host))`. What is not the chat's goes on
 * to the next one. Mount it before body parsers, so that bodies are checked by the chat's own rules; a body that was
 * parsed already is taken as it is.
 */
export function chatRoutes(engine: ChatEngine, host?: ChatHost, options?: ServerOptions): Middleware {
  const adapter = ServerAdapter.of(engine, host, options);
  return (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void) => {
    if (adapter.serves(request)) new Exchange(request, response, adapter).begin();
    else next();
  };
}

/**
 * Serves the whole chat from an HTTP server: its routes and its WebSockets, ahead of whatever else listens to the
 * server. The application does not see their requests, so its own middlewares cost them nothing and do nothing for them;
 * those that the host names (`expressHost`) run where somebody must be signed in. Everything else reaches the application
 * as before. To be called when the application listens to the server already. Gives a function that undoes it.
 */
export function attachChat(
  httpServer: HttpServer | HttpsServer,
  engine: ChatEngine,
  host?: ChatHost,
  options?: ServerOptions,
): () => void {
  mustBeServer(httpServer);
  const routes = chatRoutes(engine, host, options);
  const others = httpServer.listeners('request') as ((request: IncomingMessage, response: ServerResponse) => void)[];
  const serve = (request: IncomingMessage, response: ServerResponse) =>
    routes(request, response, () => {
      for (const other of others) other.call(httpServer, request, response);
    });
  setWrappedListeners(others, serve);
  httpServer.removeAllListeners('request').on('request', serve);
  const stopUpgrades = setupWebSocket(httpServer, engine);
  return () => {
    stopUpgrades();
    httpServer.off('request', serve);
    for (const other of others) httpServer.on('request', other);
  };
}
