// Servers with the chat whose connections the test resets. In a process of their own, because a mistake would end the
// process. Prints their ports.
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';

import express from 'express';

import { application } from './application.mjs';
import { travelchat } from './package.mjs';
import { makeCertificate } from './tls.mjs';

const { attachChat, ChatEngine, chatRoutes, memory, setupWebSocket } = travelchat;

const big = 'x'.repeat(8 * 1024 * 1024);

async function serve({ makeServer = createServer, way = 'attachChat', isClosed = false, isShared = false }) {
  const engine = new ChatEngine(memory(), { shards: 1 });
  const conversation = await engine.openConversation('org-1', 'carl');
  const options = { rateLimits: false };
  const app = express();
  const host = application([]);
  if (way === 'chatRoutes') app.use(chatRoutes(engine, host, options));
  app.get('/big', (request, response) => response.send(big));
  const server = makeServer(app);
  if (way === 'attachChat') attachChat(server, engine, host, options);
  else setupWebSocket(server, engine);
  // One that is slow to say whether an upgrade is its own.
  if (isShared) server.on('upgrade', (request, socket) => {
    if (!request.url.startsWith('/ws/')) setTimeout(() => socket.end('HTTP/1.1 404 Not Found\r\n\r\n').resume(), 5);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  if (isClosed) await engine.close();
  return { port: server.address().port, conversation: conversation.id };
}

const certificate = makeCertificate();
const ports = {
  attached: await serve({}),
  routed: await serve({ way: 'chatRoutes' }),
  shared: await serve({ isShared: true }),
  closed: await serve({ isClosed: true }),
  tls: await serve({ makeServer: (app) => createTlsServer(certificate, app) }),
};
console.log(JSON.stringify(ports));
// Asked how many descriptors there are.
process.stdin.on('data', () => console.log(readdirSync('/proc/self/fd').length));
