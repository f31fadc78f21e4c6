import { closeSync } from 'node:fs';
import { STATUS_CODES, type IncomingMessage, type Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { Socket } from 'node:net';
import { pipeline, type Duplex } from 'node:stream';
import { Server as TlsServer } from 'node:tls';

import type { ChatEngine } from './engine';
import type { ChatHost, ServerOptions } from './host';
import { mustBe } from './options';
import { refusalOf, ServerAdapter } from './server_adapter';

/** For `setupWebSocket`: what `chatRoutes` takes, too, and who the host is. */
export interface WebSocketOptions extends ServerOptions {
  /** Needed when `chatRoutes` was not called before. */
  host?: ChatHost;
}

/**
 * Takes the chat's WebSockets (`/ws/chat`, `/ws/inbox`) over from an HTTP server. A plain connection is handed to the
 * engine's own server and costs the event loop nothing from then on; with TLS, which ends in Node, its bytes pass
 * through the event loop. Other upgrades are left to other listeners. Where there is none, a WebSocket is refused with
 * 404, and what asks for another protocol (`h2c`) is a request like any other, as HTTP has it. Gives a function that
 * stops taking new ones.
 */
export function setupWebSocket(
  httpServer: HttpServer | HttpsServer,
  engine: ChatEngine,
  options: WebSocketOptions = {},
): () => void {
  mustBeServer(httpServer);
  mustBe(typeof options === 'object' && options !== null, options, 'options', 'an object');
  const { host, ...rest } = options;
  const adapter = ServerAdapter.of(engine, host, rest);
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // Node removes its own error listener before it emits 'upgrade', and an error without a listener ends the process.
    // A peer may reset the connection at any time: while it waits here, while another listener has it, or afterwards.
    socket.on('error', ignore);
    const isChat = adapter.serves(request);
    if (!isChat && httpServer.listenerCount('upgrade') > 1) return;
    afterResponses(socket, () => {
      if (!asksForWebSocket(request)) serveWithoutUpgrade(httpServer, request, socket, head);
      else if (isChat) handOver(adapter, request, socket, head);
      else refuse(socket, notFoundResponse);
    });
  };
  httpServer.on('upgrade', upgrade);
  return () => httpServer.off('upgrade', upgrade);
}

/** @internal */
export function mustBeServer(httpServer: unknown): void {
  const { listenerCount, on } = (httpServer ?? {}) as Partial<HttpServer>;
  // An Express application has them, too, and is a function.
  const isServer = typeof httpServer === 'object' && typeof on === 'function' && typeof listenerCount === 'function';
  mustBe(isServer, httpServer, 'httpServer', 'an HTTP server');
}

function ignore(): void {}

interface Handle {
  readonly fd?: number;
  readStop(): unknown;
}
type Connection = Duplex & {
  _handle?: Handle | null;
  /** The answer that is being sent; the server sets the next one when it is. */
  _httpMessage?: NodeJS.EventEmitter | null;
};

// Runs `next` once the answers to earlier requests of the connection have left, and never when it is closed before that.
function afterResponses(socket: Connection, next: () => void): void {
  const answer = socket._httpMessage;
  if (answer !== null && answer !== undefined) {
    answer.once('close', () => afterResponses(socket, next));
  } else if (socket.destroyed || socket.writableEnded) {
    // The server closes the connection after its last answer: there is nothing to take over any more.
    return;
  } else if (socket.writableLength > 0) {
    // 'drain' would come only if the last write had been told to wait.
    socket.write('', (error) => {
      if (!error) afterResponses(socket, next);
    });
  } else {
    next();
  }
}

function asksForWebSocket({ headers }: IncomingMessage): boolean {
  return /(^|,)\s*websocket\s*(,|$)/i.test(headers.upgrade ?? '');
}

// Node gives every request that names another protocol to the listeners of upgrades, and has not read its body. A server may
// ignore the header (RFC 9110 section 7.8), and this one goes on as if it were not there: the request is given back to be
// read again without it, and so are whatever follows it on the connection, and time-outs.
function serveWithoutUpgrade(httpServer: HttpServer | HttpsServer, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const { method, url, httpVersion, rawHeaders } = request;
  let lines = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'upgrade') lines += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  }
  // Node's parser gives a character for each byte.
  socket.unshift(Buffer.concat([Buffer.from(`${lines}\r\n`, 'latin1'), head]));
  socket.off('error', ignore);
  httpServer.emit(httpServer instanceof TlsServer ? 'secureConnection' : 'connection', socket);
}

const notFoundResponse = 'HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

// How long a peer that was refused may take to close its side.
const lingerMs = 2_000;

function refuse(socket: Duplex, answer: string): void {
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once('close', () => clearTimeout(timer));
  // Reads what it still sends: otherwise a reset could lose the answer.
  socket.resume().end(answer);
}

function handOver(adapter: ServerAdapter, request: IncomingMessage, socket: Connection, head: Buffer): void {
  const handle = socket._handle;
  try {
    if (!('encrypted' in socket) && handle?.fd !== undefined && handle.fd >= 0) {
      // Bytes that came while it waited.
      const more = socket.read() as Buffer | null;
      adapter.adopt(handle.fd, request, more === null ? head : Buffer.concat([head, more]));
      handle.readStop();
      // The engine has a duplicate of the descriptor, which keeps the connection open.
      socket.destroy();
      return;
    }
    const engineSide = openSocket(adapter.bridge(request, head));
    // An error of either side ends both, and needs no report.
    pipeline(socket, engineSide, ignore);
    pipeline(engineSide, socket, ignore);
  } catch (error) {
    // A closed engine, one that has as many connections as it may, or no descriptor left.
    const { status, body } = refusalOf(error);
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, 'Connection: close', 'Content-Type: application/json'];
    refuse(socket, `${lines.join('\r\n')}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  }
}

function openSocket(descriptor: number): Socket {
  let engineSide: Socket;
  try {
    engineSide = new Socket({ fd: descriptor, readable: true, writable: true, allowHalfOpen: true });
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  // `pipeline` listens to errors only until both sides have ended.
  return engineSide.on('error', ignore);
}
