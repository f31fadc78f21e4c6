// Starts and ends the HTTP server.
import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import type { Options } from './options.ts';

/** Limits for what has been received of a request that is not complete yet. */
export const httpLimits = { maxHeaderSize: 8 * 1024, headersTimeout: 10_000, connectionsCheckingInterval: 1_000,
  requireHostHeader: false };

/** Node's own refusals in the words of the chat. */
export function refuseInJson(httpServer: Server) {
  httpServer.on('clientError', (error: NodeJS.ErrnoException & { rawPacket?: Buffer }, socket: Socket) => {
    if (!socket.writable) {
      // Refused before, and still here: the peer keeps its side open.
      socket.destroy();
      return;
    }
    const isRequest = /^[a-z]+ \S+ HTTP\/1\.[01]\r\n/i.test(error.rawPacket?.toString('latin1') ?? '');
    const [status, reason, code, more = ''] =
      error.code === 'HPE_INVALID_METHOD' && isRequest ? [405, 'Method Not Allowed', 'method_not_allowed', 'Allow: GET, HEAD, POST, DELETE\r\n'] :
      error.code === 'HPE_HEADER_OVERFLOW' ? [431, 'Request Header Fields Too Large', 'headers_too_large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? [408, 'Request Timeout', 'request_timeout']
      : [400, 'Bad Request', 'invalid_argument'];
    const body = JSON.stringify({ message: `${reason}.`, code });
    socket.end(`HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/json\r\nConnection: close\r\n${more}` +
      `Content-Length: ${body.length}\r\n\r\n${body}`);
  });
}

export function listen(httpServer: Server, { address, port }: Options, close: () => Promise<void>) {
  httpServer.listen(port, address, () => {
    const bound = httpServer.address() as AddressInfo;
    console.log(`travelchat ready http://${bound.address}:${bound.port}`);
  });
  let closing = false;
  const end = () => {
    if (closing) return;
    closing = true;
    httpServer.close();
    httpServer.closeIdleConnections();
    void close().then(() => process.exit(0));
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}
