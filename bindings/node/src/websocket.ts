import type { IncomingMessage, Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { Socket } from 'node:net';
import { pipeline, type Duplex } from 'node:stream';

import { Door } from './door';
import type { ChatEngine } from './engine';
import type { ChatHost, ServerOptions } from './host';

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
  const door = Door.of(engine, host, rest);
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    if (!door.serves(request.url)) {
      if (httpServer.listenerCount('upgrade') === 1) {
        socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      }
      return;
    }
    // Answers to requests before this one leave first.
    if (socket.writableLength > 0) socket.once('drain', () => handOver(door, request, socket, head));
    else handOver(door, request, socket, head);
  };
  httpServer.on('upgrade', upgrade);
  return () => httpServer.off('upgrade', upgrade);
}

interface Handle {
  readonly fd?: number;
  readStop(): unknown;
}

function handOver(door: Door, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const handle = (socket as Duplex & { _handle?: Handle | null })._handle;
  try {
    if (!('encrypted' in socket) && handle?.fd !== undefined && handle.fd >= 0) {
      handle.readStop();
      door.adopt(handle.fd, request, head);
      // The connection lives on in the duplicate.
      socket.destroy();
      return;
    }
    const end = door.bridge(request, head);
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
