import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, test } from 'node:test';

import express from 'express';

import { application, Peer } from './support/application.mjs';
import { ada, carl, travelchat } from './support/package.mjs';
import { makeCertificate } from './support/tls.mjs';

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
      assert.equal((await post(path, 'x'.repeat(160 * 1024 + 1))).status, 413);
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
        'Content-Type: application/json\r\nContent-Length: 163841\r\n\r\n');
      let answer = '';
      for await (const chunk of socket) answer += chunk;
      assert.match(answer, /^HTTP\/1\.1 413 /);
    });

    test("hands a socket to the engine's server, and the HTTP server then forgets it", async () => {
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

    test('takes a request that names another protocol as if it did not', async () => {
      const socket = connect(server.address().port, '127.0.0.1');
      const upgrade = 'Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n';
      const json = 'Content-Type: application/json\r\n';
      const echo = (body) => `POST /api/echo HTTP/1.1\r\n${upgrade}${json}Content-Length: ${body.length}\r\n\r\n${body}`;
      const sent = '{"content":"caf\xc3\xa9"}';
      const asked = [
        `POST /api/conversations/${conversation.id}/messages HTTP/1.1\r\n${upgrade}Cookie: session=ada\r\n${json}` +
          `Content-Length: ${sent.length}\r\n\r\n${sent}`,
        `GET /livez HTTP/1.1\r\n${upgrade}\r\n`,
        echo('{"n":1}'),
        `POST /api/echo HTTP/1.1\r\n${upgrade}${json}Transfer-Encoding: chunked\r\n\r\n7\r\n{"n":2}\r\n0\r\n\r\n`,
        ...Array.from({ length: 12 }, (_, i) => echo(`{"n":${i + 3}}`)),
        `GET /ws/chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2\r\n\r\n`,
        `HEAD /elsewhere HTTP/1.1\r\n${upgrade}\r\n`,
      ].join('') + 'GET /elsewhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
      // Cut in the middle of a body.
      const middle = asked.indexOf('{"n":1}') + 3;
      socket.write(Buffer.from(asked.slice(0, middle), 'latin1'));
      let answer = '';
      let isWhole = false;
      for await (const chunk of socket) {
        answer += chunk.toString('latin1');
        if (!isWhole && answer.includes('"status"')) socket.write(Buffer.from(asked.slice(middle), 'latin1'));
        isWhole ||= answer.includes('"status"');
      }
      const statuses = answer.match(/(?<=HTTP\/1\.1 )\d+/g).map(Number);
      assert.deepEqual(statuses, [201, 200, ...Array(14).fill(200), 426, 404, 404]);
      assert.deepEqual(answer.match(/\{"n":\d+\}/g), Array.from({ length: 14 }, (_, i) => `{"n":${i + 1}}`));
      const { messages } = await engine.listMessages(ada, { conversationId: conversation.id });
      assert.deepEqual(messages.map(({ content }) => content), ['café']);
    });

    test("leaves another protocol to the application's own listener of upgrades", async () => {
      server.on('upgrade', (request, socket) => {
        if (request.url === '/own') socket.end(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: ${request.headers.upgrade}\r\n\r\n`);
      });
      const socket = connect(server.address().port, '127.0.0.1');
      socket.write('GET /own HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\n');
      let answer = '';
      for await (const chunk of socket) answer += chunk;
      assert.match(answer, /^HTTP\/1\.1 101 .*\r\nUpgrade: own\r\n/);
    });

    test('answers 503 once the engine is closed', async () => {
      await engine.close();
      const answer = await fetch(`${origin}/api/conversations`, { headers: cookie });
      assert.equal(answer.status, 503);
      // As people are told; the application's own calls are told what is closed.
      assert.deepEqual(await answer.json(), { message: 'The server is restarting.', code: 'closed' });
    });
  });

  test('works behind TLS that Node ends', async () => {
    const tls = makeCertificate();
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
    const plain = connectTls({ port: server.address().port, rejectUnauthorized: false });
    plain.write('POST /api/echo HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: h2c\r\n' +
      'Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{"n":1}');
    let answer = '';
    for await (const chunk of plain) answer += chunk;
    assert.match(answer, /^HTTP\/1\.1 200 [^]*\{"n":1\}$/);
    const last = new Peer(socketUrl(), options);
    await last.next();
    await engine.close();
    assert.equal(await last.closed, 1012);
  });

  // An answer that is on its way, one that the application is late with, and one that fills the connection.
  for (const scheme of ['http', 'https']) {
    test(`opens a socket and refuses one behind the answers to what came before, over ${scheme}`, async () => {
      const tls = makeCertificate();
      let late;
      const big = 'x'.repeat(4 * 1024 * 1024);
      await start({
        scheme,
        makeServer: (app) => {
          app.get('/late', (request, response) => (late = response));
          app.get('/big', (request, response) => response.type('text').send(big));
          return scheme === 'https' ? createTlsServer(tls, app) : createServer(app);
        },
      });
      const { port } = server.address();
      const handshake = (path) => `GET ${path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: session=ada\r\n\r\n';
      const { pathname, search } = new URL(socketUrl());
      // A masked text frame with "{" in it.
      const frame = '\x81\x81\0\0\0\0\x7b';
      for (const [last, expected] of [
        [handshake(pathname + search) + frame, /HTTP\/1\.1 101 [^]*malformed_json/],
        [handshake('/elsewhere'), /HTTP\/1\.1 404 [^]*$/],
      ]) {
        for (const before of ['/livez', '/api/conversations', '/late', '/big']) {
          late = undefined;
          const socket = scheme === 'https' ? connectTls({ port, rejectUnauthorized: false }) : connect(port, '127.0.0.1');
          socket.on('error', () => undefined);
          socket.write(Buffer.from(`GET ${before} HTTP/1.1\r\nHost: x\r\nCookie: session=ada\r\n\r\n${last}`, 'latin1'));
          if (before === '/late') {
            // And with something that comes while it waits.
            while (late === undefined) await new Promise(setImmediate);
            socket.write(Buffer.from(expected.source.includes('101') ? frame : '', 'latin1'));
            setImmediate(() => late.send('at last'));
          }
          let answer = '';
          for await (const chunk of socket) {
            answer += chunk.toString('latin1');
            if (expected.test(answer)) break;
          }
          assert.match(answer, /^HTTP\/1\.1 200 /, before);
          assert.match(answer, expected, before);
          if (before === '/big') assert.ok(answer.includes(big));
          socket.destroy();
        }
      }
    });
  }

  test('lets go of who was refused and does not go', async () => {
    await start();
    const socket = connect({ port: server.address().port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined);
    socket.write('GET /elsewhere HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n');
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk));
    await once(socket, 'end');
    assert.match(answer, /^HTTP\/1\.1 404 /);
    // It keeps its own side open; what it writes then is answered with a reset.
    const writing = setInterval(() => socket.write('x'), 20);
    await new Promise((resolve) => socket.once('close', resolve));
    clearInterval(writing);
    assert.equal(await new Promise((resolve) => server.getConnections((_, count) => resolve(count))), 0);
  });

  test('answers 500 and tells the application when its host throws', async () => {
    const host = { ...application(pushed), findTrip: () => { throw new Error('no database'); } };
    await start({ host });
    const answer = await fetch(`${origin}/api/chat-token?tripId=lisbon&shareToken=share`);
    assert.equal(answer.status, 500);
    assert.equal((await answer.json()).code, 'internal');
    assert.equal(errors.pop().message, 'no database');
  });

  test('names the function of the application that gave something else than asked', async () => {
    for (const [name, answers, expected, path] of [
      ['getTripFullView', [true, {}, { trip: null }, { trip: {} }], '{ trip: { id, orgId } }', '/api/chat-token?tripId=a&shareToken=b'],
      ['advisor', [true, {}, { orgId: 'org-1', id: 7 }], '{ orgId, id }', '/api/conversations'],
      ['getClient', ['Carl', { id: 'carl' }], '{ fullName }', '/api/conversations'],
      ['getActiveTrip', ['lisbon', { id: 'lisbon' }], '{ id, title }', '/api/conversations'],
    ]) {
      let answer;
      await start({ host: application(pushed, [], { [name]: () => answer }) });
      for (answer of answers) {
        assert.equal((await fetch(origin + path, { headers: cookie })).status, 500);
        const kind = typeof answer === 'object' ? 'an object' : JSON.stringify(answer);
        const error = errors.pop();
        assert.ok(error instanceof TypeError);
        assert.equal(error.message, `${name}() must be an object ${expected} with strings, or nothing, not ${kind}`);
      }
      await engine.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    await start();
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
    assert.match(errors.pop().message, /^authenticate\(\)\.orgId must be a string, not the number 7$/);
  });

  test('answers 500 when its host gives text with half of a surrogate pair', async () => {
    const host = { ...application(pushed), authenticate: () => ({ orgId: 'org-1', id: 'ada', name: 'Ada \u{1F389}'.slice(0, -1) }) };
    await start({ host });
    assert.equal((await fetch(`${origin}/api/conversations`)).status, 500);
    assert.equal(errors.pop().message, 'authenticate().name must be well-formed text, and holds half of a surrogate pair');
  });

  test('passes on no picture that a page may not show', async () => {
    const host = {
      ...application(pushed),
      findClients: (orgId, ids) => ids.map((id) => ({ id, name: 'Carl', avatarUrl: 'javascript:alert(1)' })),
      findTrip: () => ({
        id: 'lisbon', orgId: 'org-1', clientId: 'carl', shareEnabled: true, shareToken: 'share', advisorAvatarUrl: 'javascript:alert(1)',
      }),
    };
    await start({ host });
    const [row] = await (await fetch(`${origin}/api/conversations`, { headers: cookie })).json();
    assert.equal(row.clientAvatarUrl, null);
    const grant = await (await fetch(`${origin}/api/chat-token?tripId=lisbon&shareToken=share`)).json();
    assert.equal(grant.advisorAvatar, null);
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
  // After a failed test its server would keep the process alive.
  const listening = new Set();
  afterEach(async () => {
    for (const server of listening) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    listening.clear();
  });
  async function listen(server) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    listening.add(server);
    return `http://127.0.0.1:${server.address().port}`;
  }
  async function end(server, engine) {
    listening.delete(server);
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

  // The first thing that a socket below this URL hears, or the code that it ends with.
  async function firstTold(base, conversationId) {
    const url = `${base.replace('http', 'ws')}/ws/chat?conversationId=${conversationId}&userType=advisor&userId=ada`;
    const peer = new Peer(url, { headers: { cookie: 'session=ada' } });
    const told = await Promise.race([peer.next().then(({ type }) => type), peer.closed]);
    peer.socket.terminate();
    return told;
  }

  test('with a base path all that is the chat\'s is below it, and the application has the rest', async () => {
    const engine = new ChatEngine(memory(), { shards: 1 });
    const { id } = await engine.openConversation('org-1', 'carl');
    const server = createServer((request, response) => response.writeHead(418).end());
    attachChat(server, engine, application([]), { basePath: '/a/chat', metrics: 'nobody' });
    const origin = await listen(server);
    const status = async (path) => (await fetch(origin + path, { headers: { cookie: 'session=ada' } })).status;
    for (const path of ['/livez', '/api/conversations', `/api/conversations/${id}/messages?limit=1`]) {
      assert.deepEqual([await status(`/a/chat${path}`), await status(path)], [200, 418]);
    }
    assert.equal(await status('/a/chat/metrics'), 418);
    assert.equal(await firstTold(`${origin}/a/chat`, id), 'typing');
    await assert.rejects(firstTold(origin, id), /404/);
    await end(server, engine);
  });

  test('a base path is the whole path, also where Express or Connect has taken some of it away', async () => {
    for (const mount of [
      (app, routes) => app.use(routes),
      (app, routes) => app.use('/site', routes),
      (app, routes) => app.use('/site/chat', express.Router().use(routes)),
      // As Connect does it.
      (app, routes) => app.use((request, response, next) => {
        const { url } = request;
        if (!url.startsWith('/site/')) return next();
        request.url = url.slice('/site'.length);
        request.baseUrl = undefined;
        routes(request, response, next);
      }),
    ]) {
      const engine = new ChatEngine(memory(), { shards: 1 });
      const { id } = await engine.openConversation('org-1', 'carl');
      const app = express();
      mount(app, chatRoutes(engine, application([]), { basePath: '/site/chat', probes: false }));
      const server = createServer(app);
      setupWebSocket(server, engine);
      const origin = await listen(server);
      const status = async (path) => (await fetch(origin + path, { headers: { cookie: 'session=ada' } })).status;
      assert.equal(await status('/site/chat/api/conversations'), 200);
      assert.equal(await status('/site/chat/livez'), 404);
      assert.equal(await status('/site/api/conversations'), 404);
      assert.equal(await firstTold(`${origin}/site/chat`, id), 'typing');
      await end(server, engine);
    }
  });

  test('a base path that is none is refused with its name', async () => {
    for (const basePath of ['chat', '/', '/chat/', '/a b', 7, null]) {
      const engine = new ChatEngine(memory(), { shards: 1 });
      assert.throws(() => chatRoutes(engine, application([]), { basePath }), { name: 'TypeError', message: /\bbasePath must be / });
      await engine.close();
    }
  });

  test('the metrics are for those whom the options name', async () => {
    const metricsToken = '0123456789abcdef';
    for (const [options, headers, status] of [
      [{}, { 'x-forwarded-for': '192.0.2.1' }, 200],
      [{ metrics: 'loopback' }, {}, 200],
      [{ metrics: 'loopback' }, { 'x-forwarded-for': '192.0.2.1' }, 404],
      [{ metrics: 'token', metricsToken }, {}, 401],
      [{ metrics: 'token', metricsToken }, { authorization: `Bearer ${metricsToken}` }, 200],
      [{ metrics: 'nobody' }, {}, 418],
    ]) {
      const engine = new ChatEngine(memory(), { shards: 1 });
      const server = createServer((request, response) => response.writeHead(418).end());
      attachChat(server, engine, application([]), options);
      const origin = await listen(server);
      assert.equal((await fetch(`${origin}/metrics`, { headers })).status, status);
      assert.equal((await fetch(`${origin}/livez`)).status, 200);
      await end(server, engine);
    }
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
        body: `{"content":"Hello","clientMessageId":"one","padding":"${'\\u0070'.repeat(14_000)}"}`.padEnd(size),
      });
    assert.deepEqual([(await post(90_000)).status, (await post(100_001)).status], [201, 413]);
    await end(server, engine);
  });

  test('a host that never answers costs its request 503 and its socket 1013, and what it says later counts for nothing', async () => {
    const engine = new ChatEngine(memory(), { shards: 1 });
    const { id } = await engine.openConversation('org-1', 'carl');
    const server = createServer();
    const late = [];
    const never = () => new Promise((resolve) => late.push(resolve));
    const errors = [];
    attachChat(server, engine, { authenticate: never, findTrip: never, findClients: never }, {
      hostTimeout: 50, maxConnections: 1, onError: (error) => errors.push(error),
    });
    const origin = await listen(server);
    const isFree = async () => (await fetch(`${origin}/livez`)).status === 200;
    for (const path of ['/api/conversations', '/api/chat-token?tripId=lisbon&shareToken=share']) {
      const answer = await fetch(origin + path, { headers: { cookie: 'session=ada' } });
      assert.equal(answer.status, 503);
      assert.equal((await answer.json()).code, 'overloaded');
      while (!(await isFree()));
    }
    const url = `${origin.replace('http', 'ws')}/ws/chat?conversationId=${id}&userType=advisor&userId=ada`;
    assert.equal(await new Peer(url, { headers: { cookie: 'session=ada' } }).closed, 1013);
    while (!(await isFree()));
    // Of the wrong type, too: nobody looks at it any more.
    assert.equal(late.length, 3);
    late[0]({ orgId: 'org-1', id: 'ada', name: 'Ada' });
    late[1]('nothing like a trip');
    late[2]({ orgId: 'org-1', id: 'ada', name: 'Ada' });
    await isFree();
    await end(server, engine);
    assert.deepEqual(errors.filter((error) => !(error instanceof TypeError)), []);
  });

  for (const [scheme, makeServer] of [['http', createServer], ['https', () => createTlsServer(makeCertificate())]]) {
    test(`an upgrade that finds no place is answered 503, over ${scheme}`, async () => {
      const engine = new ChatEngine(memory(), { shards: 1 });
      const { id } = await engine.openConversation('org-1', 'carl');
      const server = makeServer();
      attachChat(server, engine, application([]), { maxConnections: 1, rateLimits: false });
      const origin = (await listen(server)).replace('http', scheme.replace('http', 'ws'));
      const url = `${origin}/ws/chat?conversationId=${id}&userType=advisor&userId=ada`;
      const connection = { headers: { cookie: 'session=ada' }, rejectUnauthorized: false };
      const first = new Peer(url, connection);
      await first.next();
      const refused = async () => {
        const [, answer] = await once(new Peer(url, connection).socket, 'unexpected-response');
        assert.equal(answer.headers['content-type'], 'application/json');
        return [answer.statusCode, JSON.parse(Buffer.concat(await answer.toArray()).toString()).code];
      };
      assert.deepEqual(await refused(), [503, 'overloaded']);
      await engine.close();
      assert.equal(await first.closed, 1012);
      assert.deepEqual(await refused(), [503, 'closed']);
      await end(server, engine);
    });
  }

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
    assert.throws(() => chatRoutes(other, host, { metrics: 'token', metricsToken: 'secret' }), {
      name: 'TypeError', message: 'metricsToken must be at least 16 letters, digits or any of -._~+/= where the metrics ask for it',
    });
    assert.throws(() => chatRoutes(other, host, { metricsToken: '0123456789abcdef' }), /metricsToken must be left out/);
    await other.close();
  });

  test('names each option that is not what it must be', async () => {
    const engine = new ChatEngine(memory(), { shards: 1 });
    const server = createServer();
    const host = application([]);
    const bare = { authenticate: () => null, findTrip: () => null, findClients: () => [], checkSessions: undefined };
    assert.throws(() => chatRoutes(engine, bare), { name: 'TypeError', message: 'host.checkSessions must have a value, or be left out, and is undefined' });
    for (const [options, message] of [
      [{ trustProxy: true }, 'options has no option "trustProxy"'],
      [{ probes: 'no' }, 'options.probes must be a boolean, not "no"'],
      [{ metrics: 'admin' }, "options.metrics must be 'everyone', 'loopback', 'token' or 'nobody', not \"admin\""],
      [{ metrics: false }, "options.metrics must be 'everyone', 'loopback', 'token' or 'nobody', not false"],
      [{ metricsToken: 7 }, 'options.metricsToken must be a string'],
      [{ onError: null }, 'options.onError must be a function, not null'],
      [{ allowedOrigins: 'https://a.example' }, 'options.allowedOrigins must be an array of strings, not "https://a.example"'],
      ...['', '*', 'null', 'https://a.example/', 'https://*.a.example', 'a.example', undefined, 7].map((origin) =>
        [{ allowedOrigins: ['https://b.example', origin] }, /^options\.allowedOrigins\[1\] must be scheme:\/\/host\[:port\], not /]),
      [{ trustedProxies: [''] }, 'options.trustedProxies[0] must be an address or a network, not ""'],
      [{ maxConnections: 0 }, 'options.maxConnections must be a whole number from 1 on, not 0'],
      [{ maxFrameBytes: NaN }, 'options.maxFrameBytes must be a whole number from 1 on, not NaN'],
      [{ maxOutboxBytes: Infinity }, 'options.maxOutboxBytes must be a whole number from 1 on, not Infinity'],
      [{ maxBodyBytes: -1 }, 'options.maxBodyBytes must be a whole number from 0 on, not -1'],
      [{ pingInterval: 2 ** 53 - 1 }, /^options\.pingInterval must be a whole number from 1 to \d+, not 9007199254740991/],
      [{ rateLimits: null }, 'options.rateLimits must be an object, not null'],
      [{ rateLimits: 0 }, 'options.rateLimits must be an object, not 0'],
      [{ rateLimits: '' }, 'options.rateLimits must be an object, not ""'],
      [{ rateLimits: { message: { count: 1 } } }, 'options.rateLimits has no option "message"'],
      [{ rateLimits: { messages: {} } }, 'options.rateLimits.messages.count must be a whole number from 0 on, not undefined'],
      [{ rateLimits: { messages: { count: 1, windowMs: 0 } } }, /^options\.rateLimits\.messages\.windowMs must be a whole number from 1 to/],
      [{ rateLimits: { socketsPerParticipant: null } }, 'options.rateLimits.socketsPerParticipant must be a whole number from 0 on, not null'],
    ]) {
      assert.throws(() => chatRoutes(engine, host, options), { name: 'TypeError', message });
      assert.throws(() => attachChat(server, engine, host, options), { name: 'TypeError', message });
      assert.throws(() => setupWebSocket(server, engine, { ...options, host }), { name: 'TypeError', message });
    }
    for (const [change, message] of [
      [{ searchClients: null }, 'host.searchClients must be a function, not null'],
      [{ notify: 'x' }, 'host.notify must be a function, not "x"'],
      [{ authenticate: undefined }, 'host.authenticate must be a function, not undefined'],
    ]) {
      assert.throws(() => chatRoutes(engine, { ...host, ...change }), { name: 'TypeError', message });
    }
    assert.throws(() => attachChat(undefined, engine, host), { name: 'TypeError', message: 'httpServer must be an HTTP server, not undefined' });
    assert.throws(() => setupWebSocket(express(), engine, { host }), { name: 'TypeError' });
    assert.throws(() => setupWebSocket(server, engine, null), { name: 'TypeError', message: 'options must be an object, not null' });
    assert.equal(server.listenerCount('upgrade') + server.listenerCount('request'), 0);
    // What is left out, or undefined, is the default.
    attachChat(server, engine, host, { rateLimits: undefined, probes: undefined, maxConnections: undefined });
    await engine.close();
  });

  test('an onError that throws itself ends nothing', async () => {
    const engine = new ChatEngine(memory(), { shards: 1 });
    const server = createServer();
    const host = { ...application([]), authenticate: async () => { throw new Error('no database'); } };
    attachChat(server, engine, host, { onError: () => { throw new Error('no log'); } });
    const origin = await listen(server);
    const warned = once(process, 'warning');
    assert.equal((await fetch(`${origin}/api/conversations`)).status, 500);
    assert.equal((await warned)[0].message, 'no log');
    await end(server, engine);
  });
});
