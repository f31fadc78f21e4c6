import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';

import express from 'express';

import { application, Peer } from './support/application.mjs';
import { ada, carl, travelchat } from './support/package.mjs';

const { attachChat, ChatEngine, ChatError, chatRoutes, memory, setupWebSocket } = travelchat;

describe('in an Express application, the chat', () => {
  let engine;
  let server;
  let origin;
  let conversation;
  const pushed = [];
  const errors = [];
  const cookie = { cookie: 'session=ada' };

  async function start({ makeServer = createServer, scheme = 'http', host = application(pushed), way } = {}) {
    engine = new ChatEngine(memory(), { shards: 2 });
    conversation = await engine.openConversation('org-1', 'carl');
    const options = { rateLimits: false, onError: (error) => errors.push(error) };
    const app = express();
    if (way !== 'attachChat') app.use(chatRoutes(engine, host, options));
    app.use(express.json());
    app.post('/api/echo', (request, response) => response.json(request.body));
    server = makeServer(app);
    if (way === 'attachChat') attachChat(server, engine, host, options);
    else setupWebSocket(server, engine);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `${scheme}://127.0.0.1:${server.address().port}`;
  }
  afterEach(async () => {
    await engine.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const post = (path, body, headers = cookie) =>
    fetch(origin + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
  const socketUrl = (role = 'advisor', user = 'ada') =>
    `${origin.replace('http', 'ws')}/ws/chat?conversationId=${conversation.id}&userType=${role}&userId=${user}`;

  for (const way of ['chatRoutes and setupWebSocket', 'attachChat']) describe(`by ${way}`, () => {
    beforeEach(() => start({ way }));

    test('answers its routes on the sessions of the application', async () => {
      const refused = await fetch(`${origin}/api/conversations`);
      assert.equal(refused.status, 401);
      assert.equal((await refused.json()).code, 'unauthenticated');
      const sent = await post(`/api/conversations/${conversation.id}/messages`, { content: 'Hello' });
      assert.equal(sent.status, 201);
      const message = await sent.json();
      assert.deepEqual([message.content, message.senderId, message.senderName], ['Hello', 'ada', 'Ada']);
      const [row] = await (await fetch(`${origin}/api/conversations?q=carl`, { headers: cookie })).json();
      assert.deepEqual([row.id, row.clientName, row.lastMessage.id], [conversation.id, 'Carl', message.id]);
    });

    test('leaves other routes and their bodies to the application', async () => {
      const answer = await post('/api/echo', { a: 1 });
      assert.deepEqual(await answer.json(), { a: 1 });
      assert.equal((await fetch(`${origin}/elsewhere`)).status, 404);
    });

    test('lets a client in by the share link, and tells the organization what they write', async () => {
      const grant = await (await fetch(`${origin}/api/chat-token?tripId=lisbon&shareToken=share`)).json();
      assert.deepEqual([grant.conversationId, grant.clientName, grant.advisorName], [conversation.id, 'Carl', 'Ada']);
      const sent = await post(`/api/conversations/${conversation.id}/messages/client`, {
        content: 'When do we fly?', chatToken: grant.chatToken,
      }, {});
      assert.equal(sent.status, 201);
      assert.deepEqual(pushed.pop(), {
        orgId: 'org-1', title: 'New message from Carl', body: 'When do we fly?',
        url: `/dashboard/messages?id=${conversation.id}`,
      });
      assert.equal((await fetch(`${origin}/api/chat-token?tripId=lisbon&shareToken=wrong`)).status, 403);
      assert.equal((await fetch(`${origin}/api/chat-token?tripId=porto&shareToken=share`)).status, 404);
    });

    test('checks bodies by its own rules', async () => {
      const path = `/api/conversations/${conversation.id}/messages`;
      assert.equal((await post(path, '{"content":')).status, 400);
      assert.equal((await post(path, '{"content":"a","content":"b"}')).status, 400);
      assert.equal((await post(path, 'x'.repeat(64 * 1024 + 1))).status, 413);
      assert.equal((await post(path, { content: 'Hi' }, { ...cookie, 'content-type': 'text/plain' })).status, 415);
      assert.equal((await post(path, { content: 'Hi' }, { ...cookie, origin: 'https://evil.example' })).status, 403);
      assert.equal((await fetch(origin + path, { method: 'PUT', headers: cookie })).status, 405);
      assert.deepEqual((await engine.listMessages(ada, { conversationId: conversation.id })).messages, []);
    });

    test('carries out what is pipelined in order', async () => {
      const socket = connect(server.address().port, '127.0.0.1');
      const texts = Array.from({ length: 20 }, (_, i) => `pipelined ${i}`);
      socket.write(texts.map((content) => {
        const body = JSON.stringify({ content });
        return `POST /api/conversations/${conversation.id}/messages HTTP/1.1\r\nHost: x\r\nCookie: session=ada\r\n` +
          `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
      }).join(''));
      let answer = '';
      for await (const chunk of socket) {
        answer += chunk;
        if (answer.split('"content"').length > texts.length) break;
      }
      const { messages } = await engine.listMessages(ada, { conversationId: conversation.id });
      assert.deepEqual(messages.map(({ content }) => content), texts);
    });

    test('answers HEAD with the length of GET', async () => {
      const [head, get] = [await fetch(`${origin}/livez`, { method: 'HEAD' }), await fetch(`${origin}/livez`)];
      assert.equal(head.headers.get('content-length'), String((await get.text()).length));
    });

    test('refuses by its length a body that never comes', async () => {
      const socket = connect(server.address().port, '127.0.0.1');
      socket.write('POST /api/conversations HTTP/1.1\r\nHost: x\r\nCookie: session=ada\r\n' +
        'Content-Type: application/json\r\nContent-Length: 65537\r\n\r\n');
      let answer = '';
      for await (const chunk of socket) answer += chunk;
      assert.match(answer, /^HTTP\/1\.1 413 /);
    });

    test('hands a socket to the native transport, which the HTTP server then forgets', async () => {
      const peer = new Peer(socketUrl(), { headers: cookie });
      assert.deepEqual(await peer.next(), { type: 'typing', advisorTyping: false, clientTyping: false });
      assert.equal(await new Promise((resolve) => server.getConnections((_, count) => resolve(count))), 0);
      const { message } = await engine.send(carl, { conversationId: conversation.id, content: 'Hello' });
      assert.deepEqual(await peer.next(), { type: 'new_message', message, rev: 1 });
      peer.say({ type: 'seen' });
      assert.equal((await peer.next()).type, 'read');
      peer.socket.close();
      await peer.closed;
    });

    test('takes what a client has sent behind its handshake', async () => {
      const socket = connect(server.address().port, '127.0.0.1');
      const { pathname, search } = new URL(socketUrl());
      // A masked text frame with "{" in it.
      const frame = Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x7b]);
      socket.write(Buffer.concat([
        Buffer.from(`GET ${pathname}${search} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: session=ada\r\n\r\n'),
        frame,
      ]));
      let answer = '';
      for await (const chunk of socket) {
        answer += chunk.toString('latin1');
        if (answer.includes('malformed_json')) break;
      }
      assert.match(answer, /^HTTP\/1\.1 101 /);
    });

    test('closes a socket of nobody with 4401', async () => {
      assert.equal(await new Peer(socketUrl()).closed, 4401);
      const grant = await engine.issueToken({ orgId: 'org-1', clientId: 'carl', tripId: 'lisbon', conversationId: conversation.id });
      const client = new Peer(socketUrl('client', 'carl'), {}, ['travelchat.v1', `auth.${grant.token}`]);
      assert.equal((await client.next()).type, 'typing');
      assert.equal(client.socket.protocol, 'travelchat.v1');
      client.socket.terminate();
    });

    test('closes its sockets with 1012 when the engine closes', async () => {
      const peer = new Peer(socketUrl(), { headers: cookie });
      await peer.next();
      await engine.close();
      assert.equal(await peer.closed, 1012);
    });

    test('refuses an upgrade to what is nowhere', async () => {
      const peer = new Peer(`${origin.replace('http', 'ws')}/ws/elsewhere`);
      const [, response] = await once(peer.socket, 'unexpected-response');
      assert.equal(response.statusCode, 404);
    });

    test('answers 503 once the engine is closed', async () => {
      await engine.close();
      const answer = await fetch(`${origin}/api/conversations`, { headers: cookie });
      assert.equal(answer.status, 503);
      assert.equal((await answer.json()).code, 'closed');
    });
  });

  test('works behind TLS that Node ends', async (context) => {
    const folder = mkdtempSync(join(tmpdir(), 'travelchat-'));
    context.after(() => rmSync(folder, { recursive: true }));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
      '-days', '2', '-subj', '/CN=127.0.0.1', '-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')],
    { stdio: 'ignore' });
    const tls = { key: readFileSync(join(folder, 'key.pem')), cert: readFileSync(join(folder, 'cert.pem')) };
    await start({ makeServer: (app) => createTlsServer(tls, app), scheme: 'https' });
    const options = { headers: cookie, rejectUnauthorized: false };
    const peer = new Peer(socketUrl(), options);
    assert.equal((await peer.next()).type, 'typing');
    const long = 'x'.repeat(10_000);
    for (let i = 1; i <= 50; ++i) await engine.send(carl, { conversationId: conversation.id, content: long });
    for (let i = 1; i <= 50; ++i) assert.equal((await peer.next()).rev, i);
    peer.say({ type: 'seen' });
    assert.equal((await peer.next()).type, 'read');
    peer.socket.send('{');
    assert.equal((await peer.next()).code, 'malformed_json');
    peer.socket.send(Buffer.from([1]));
    assert.equal(await peer.closed, 1003);
    assert.equal(await new Peer(socketUrl(), { rejectUnauthorized: false }).closed, 4401);
    const last = new Peer(socketUrl(), options);
    await last.next();
    await engine.close();
    assert.equal(await last.closed, 1012);
  });

  test('answers 500 and tells the application when its host throws', async () => {
    const host = { ...application(pushed), findTrip: () => { throw new Error('no database'); } };
    await start({ host });
    const answer = await fetch(`${origin}/api/chat-token?tripId=lisbon&shareToken=share`);
    assert.equal(answer.status, 500);
    assert.equal((await answer.json()).code, 'internal');
    assert.equal(errors.pop().message, 'no database');
  });

  test('answers with the code of a ChatError that its host throws', async () => {
    const host = { ...application(pushed), authenticate: async () => { throw new ChatError('rate_limited'); } };
    await start({ host });
    assert.equal((await fetch(`${origin}/api/conversations`)).status, 429);
    assert.deepEqual(errors, []);
  });

  test('answers 500 when its host gives something else than asked', async () => {
    const host = { ...application(pushed), authenticate: () => ({ orgId: 7 }) };
    await start({ host });
    assert.equal((await fetch(`${origin}/api/conversations`)).status, 500);
    assert.match(errors.pop().message, /authenticate\(\)\.orgId must be a string/);
  });

  test('takes a body that the application has parsed already', async () => {
    engine = new ChatEngine(memory());
    conversation = await engine.openConversation('org-1', 'carl');
    const app = express();
    app.use(express.json(), chatRoutes(engine, application(pushed)));
    server = createServer(app).listen(0, '127.0.0.1');
    await once(server, 'listening');
    origin = `http://127.0.0.1:${server.address().port}`;
    const sent = await post(`/api/conversations/${conversation.id}/messages`, { content: 'Hello' });
    assert.equal(sent.status, 201);
  });
});

describe('setting up', () => {
  async function listen(server) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${server.address().port}`;
  }
  async function end(server, engine) {
    await engine.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  test('attachChat leaves the rest to the listeners that it found, and all of it when it is undone', async () => {
    const engine = new ChatEngine(memory(), { shards: 1 });
    const seen = [];
    const server = createServer((request, response) => response.writeHead(418).end());
    const undo = attachChat(server, engine, application([]));
    server.on('request', (request) => seen.push(request.url));
    const origin = await listen(server);
    const status = async (path) => (await fetch(origin + path)).status;
    assert.deepEqual([await status('/livez'), await status('/api/conversations'), await status('/')], [200, 401, 418]);
    undo();
    assert.deepEqual([await status('/livez'), await status('/api/conversations'), await status('/')], [418, 418, 418]);
    assert.deepEqual(seen.slice(0, 3), ['/livez', '/api/conversations', '/']);
    assert.equal(server.listenerCount('upgrade'), 0);
    await end(server, engine);
  });

  test('the probes can remain the application\'s', async () => {
    const engine = new ChatEngine(memory(), { shards: 1 });
    const server = createServer((request, response) => response.writeHead(418).end());
    attachChat(server, engine, application([]), { probes: false });
    const origin = await listen(server);
    for (const path of ['/livez', '/readyz', '/metrics', '/metrics?x=1']) {
      assert.equal((await fetch(origin + path)).status, 418);
    }
    assert.equal((await fetch(`${origin}/api/conversations`)).status, 401);
    await end(server, engine);
  });

  test('bodies are as long as the first call allows, also for the second', async () => {
    const engine = new ChatEngine(memory(), { shards: 1 });
    const { id } = await engine.openConversation('org-1', 'carl');
    const app = express();
    const server = createServer(app);
    setupWebSocket(server, engine, { host: application([]), maxBodyBytes: 100_000 });
    app.use(chatRoutes(engine));
    const origin = await listen(server);
    const post = (size) =>
      fetch(`${origin}/api/conversations/${id}/messages`, {
        method: 'POST',
        headers: { cookie: 'session=ada', 'content-type': 'application/json' },
        body: JSON.stringify({ content: 'Hello', clientMessageId: 'one' }).padEnd(size),
      });
    assert.deepEqual([(await post(90_000)).status, (await post(100_001)).status], [201, 413]);
    await end(server, engine);
  });

  test('the limits count the client that a trusted proxy names, at its routes', async () => {
    const engine = new ChatEngine(memory(), { shards: 1 });
    const server = createServer();
    attachChat(server, engine, application([]), {
      trustedProxies: ['127.0.0.0/8'],
      rateLimits: { chatTokens: { count: 1 } },
    });
    const origin = await listen(server);
    const ask = async (client) => {
      const url = `${origin}/api/chat-token?tripId=lisbon&shareToken=share`;
      return (await fetch(url, { headers: { 'x-forwarded-for': client } })).status;
    };
    assert.deepEqual([await ask('192.0.2.1'), await ask('192.0.2.2'), await ask('192.0.2.1')], [200, 200, 429]);
    await end(server, engine);
  });

  test('names what is wrong', async () => {
    const engine = new ChatEngine(memory(), { shards: 1 });
    const server = createServer();
    assert.throws(() => setupWebSocket(server, engine), /host is missing/);
    assert.throws(() => chatRoutes(engine, { authenticate() {} }), /host.findTrip must be a function/);
    assert.throws(() => chatRoutes({}, application([])), /engine must be a ChatEngine/);
    const host = application([]);
    chatRoutes(engine, host);
    assert.throws(() => chatRoutes(engine, application([])), /another host already/);
    assert.throws(() => setupWebSocket(server, engine, { pingInterval: 1 }), /options belong to the first call/);
    setupWebSocket(server, engine, { host });
    await engine.close();
    const other = new ChatEngine(memory());
    assert.throws(() => chatRoutes(other, host, { maxBodyBytes: '1 MB' }), /maxBodyBytes must be a whole number/);
    assert.throws(() => chatRoutes(other, host, { trustedProxies: ['nearby'] }), /trusted proxy nearby/);
    await other.close();
  });
});
