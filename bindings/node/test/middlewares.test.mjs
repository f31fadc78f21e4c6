// The middlewares that applications really have, on the chat's routes and sockets.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';

import cookieSession from 'cookie-session';
import cors from 'cors';
import express from 'express';
import { rateLimit } from 'express-rate-limit';
import session from 'express-session';
import helmet from 'helmet';
import { Passport } from 'passport';

import { Peer } from './support/application.mjs';
import { travelchat } from './support/package.mjs';

const { attachChat, ChatEngine, chatRoutes, expressHost, memory, setupWebSocket } = travelchat;

/** What a host needs besides its middlewares. */
const functions = {
  advisor: (request) => ({ orgId: request.orgId, id: request.userId, name: 'Ada' }),
  getTripFullView: () => null,
  getClient: (id) => ({ id, fullName: 'Carl' }),
  sendPushToOrg: () => undefined,
};
const orgMiddleware = (request, _response, next) => {
  request.orgId = 'org-1';
  next();
};

let undo = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** An application with the chat, in one of the ways. `wrap`: the server's listener is a function around it. */
async function start(way, middlewares, { app = express(), wrap = false, options = {} } = {}) {
  const engine = new ChatEngine(memory(), { shards: 1 });
  const conversation = await engine.openConversation('org-1', 'carl');
  const errors = [];
  const host = expressHost({ orgMiddleware, ...functions, ...middlewares });
  const server = createServer(wrap ? (request, response) => app(request, response) : app);
  const given = { rateLimits: false, onError: (error) => errors.push(error), ...options };
  if (way === 'chatRoutes') {
    app.use(chatRoutes(engine, host, given));
    setupWebSocket(server, engine);
  } else {
    attachChat(server, engine, host, given);
  }
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  undo.push(async () => {
    await engine.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const origin = `http://127.0.0.1:${server.address().port}`;
  const ws = origin.replace('http', 'ws');
  const sockets = {
    chat: `${ws}/ws/chat?conversationId=${conversation.id}&userType=advisor&userId=ada`,
    inbox: `${ws}/ws/inbox`,
  };
  return {
    origin, errors, engine, conversation,
    get: (cookie, path = '/api/conversations') => fetch(origin + path, { headers: cookie === undefined ? {} : { cookie } }),
    post: (cookie) => fetch(`${origin}/api/conversations/${conversation.id}/messages`, {
      method: 'POST', headers: { cookie, 'content-type': 'application/json' }, body: JSON.stringify({ content: 'Hello' }),
    }),
    /** What a socket is closed with; 0 for one that opens. */
    async open(which, cookie) {
      const peer = new Peer(sockets[which], cookie === undefined ? {} : { headers: { cookie } });
      // The room's typing state, or the close code. An inbox has nothing to tell: a new message is told to it.
      if (which === 'inbox') once(peer.socket, 'open').then(() => tell(), () => undefined);
      const tell = () => engine.send({ orgId: 'org-1', role: 'client', id: 'carl' }, { conversationId: conversation.id, content: 'Hi' });
      const code = await Promise.race([peer.closed, peer.next().then(() => 0)]);
      peer.socket.terminate();
      return code;
    },
  };
}

/** On both sockets and the routes: with this cookie somebody is signed in, without it nobody. */
async function holds(chat, cookie) {
  assert.equal((await chat.get()).status, 401);
  assert.equal((await chat.get(cookie)).status, 200);
  assert.equal((await chat.post(cookie)).status, 201);
  for (const which of ['chat', 'inbox']) {
    assert.equal(await chat.open(which), 4401);
    assert.equal(await chat.open(which, cookie), 0);
  }
  assert.deepEqual(chat.errors, []);
}

const cookieOf = (answer) => answer.headers.getSetCookie().map((one) => one.split(';')[0]).join('; ');

for (const way of ['chatRoutes', 'attachChat']) describe(`by ${way}`, () => {
  test('express-session with rolling cookies keeps a session alive by the chat alone', async () => {
    const store = new session.MemoryStore();
    const touched = [];
    const { touch } = store;
    store.touch = (sid, data, done) => {
      touched.push(sid);
      touch.call(store, sid, data, done);
    };
    const sessions = session({ secret: 'a secret of the test', store, resave: false, saveUninitialized: false, rolling: true,
      cookie: { maxAge: 60_000 } });
    const app = express();
    app.post('/login', sessions, (request, response) => {
      request.session.userId = 'ada';
      response.json({});
    });
    const chat = await start(way, {
      session: [sessions],
      isAuthenticated(request, response, next) {
        if (request.session.userId === undefined) return response.status(401).json({ message: 'Unauthorized' });
        request.userId = request.session.userId;
        next();
      },
    }, { app });
    const cookie = cookieOf(await fetch(`${chat.origin}/login`, { method: 'POST' }));
    assert.match(cookie, /^connect\.sid=/);
    await holds(chat, cookie);
    touched.length = 0;
    assert.equal(cookieOf(await chat.get(cookie)), cookie);
    assert.equal(touched.length, 1);
    assert.equal(await chat.open('chat', cookie), 0);
    assert.equal(touched.length, 2);
    assert.deepEqual((await chat.get()).headers.getSetCookie(), []);
  });

  test('passport', async () => {
    const passport = new Passport();
    passport.serializeUser((user, done) => done(null, user.id));
    passport.deserializeUser((id, done) => setImmediate(done, null, { id, orgId: 'org-1' }));
    const sessions = session({ secret: 'a secret of the test', resave: false, saveUninitialized: false });
    const app = express();
    app.post('/login', sessions, passport.initialize(), passport.session(), (request, response, next) =>
      request.login({ id: 'ada' }, (error) => (error ? next(error) : response.json({}))));
    const chat = await start(way, {
      session: [sessions, passport.initialize(), passport.session()],
      isAuthenticated(request, response, next) {
        if (!request.isAuthenticated()) return response.redirect('/login');
        request.userId = request.user.id;
        next();
      },
    }, { app });
    await holds(chat, cookieOf(await fetch(`${chat.origin}/login`, { method: 'POST' })));
  });

  test('passport with a strategy that fails', async () => {
    const passport = new Passport();
    passport.use('header', {
      authenticate(request) {
        const user = request.get('Cookie') === 'key=right' ? { id: 'ada' } : undefined;
        if (user === undefined) this.fail('no key', 401);
        else this.success(user);
      },
    });
    const chat = await start(way, {
      session: [passport.initialize()],
      isAuthenticated: passport.authenticate('header', { session: false }),
      orgMiddleware(request, response, next) {
        request.userId = request.user.id;
        orgMiddleware(request, response, next);
      },
    });
    await holds(chat, 'key=right');
  });

  test('cookie-session', async () => {
    const sessions = cookieSession({ name: 'session', keys: ['a key of the test'], maxAge: 60_000 });
    const app = express();
    app.post('/login', sessions, (request, response) => {
      request.session = { userId: 'ada' };
      response.json({});
    });
    const chat = await start(way, {
      session: [sessions, (request, response, next) => {
        // Renewed by use, as its page recommends.
        if (request.session.userId !== undefined) request.session.seen = (request.session.seen ?? 0) + 1;
        next();
      }],
      isAuthenticated(request, response, next) {
        if (request.session.userId === undefined) return response.sendStatus(401);
        request.userId = request.session.userId;
        next();
      },
    }, { app });
    const cookie = cookieOf(await fetch(`${chat.origin}/login`, { method: 'POST' }));
    await holds(chat, cookie);
    const renewed = cookieOf(await chat.get(cookie));
    assert.match(renewed, /^session=.*session\.sig=/);
    assert.notEqual(renewed, cookie);
    assert.equal((await chat.get(renewed)).status, 200);
  });

  test('helmet, cors and express-rate-limit', async () => {
    const seen = [];
    const app = express();
    app.set('trust proxy', 'loopback');
    const byCookie = (request, response, next) => {
      seen.push([request.ip, request.path, request.protocol, request.hostname, { ...request.query }, request.app === app,
        response.app === app, typeof response.locals]);
      response.set('X-Seen', request.get('User-Agent') ?? '').cookie('seen', '1').vary('Cookie');
      response.locals.seen = true;
      if (request.get('Cookie') !== 'key=right') return response.status(401).format({ json: () => response.json({}) });
      request.userId = 'ada';
      next();
    };
    const limiter = rateLimit({ windowMs: 60_000, limit: 10, standardHeaders: 'draft-8', legacyHeaders: true,
      skipFailedRequests: true });
    const chat = await start(way, { session: [helmet(), cors({ origin: true, credentials: true }), limiter], isAuthenticated: byCookie },
      { app, options: { trustedProxies: ['127.0.0.1'] } });
    await holds(chat, 'key=right');
    assert.deepEqual(new Set(seen.map(([ip]) => ip)), new Set(['127.0.0.1']));
    assert.deepEqual(seen[0], ['127.0.0.1', '/api/conversations', 'http', '127.0.0.1', {}, true, true, 'object']);
    const onSocket = seen.find(([, path]) => path === '/ws/chat');
    assert.deepEqual(onSocket.slice(1), ['/ws/chat', 'http', '127.0.0.1', onSocket[4], true, true, 'object']);
    assert.equal(onSocket[4].userId, 'ada');
    const answer = await fetch(`${chat.origin}/api/conversations`, { headers: { cookie: 'key=right', 'x-forwarded-for': '192.0.2.7' } });
    assert.equal(answer.status, 200);
    assert.equal(seen.at(-1)[0], '192.0.2.7');
    // The chat's answer is its own, but for cookies.
    assert.equal(answer.headers.get('x-seen'), null);
    assert.equal(cookieOf(answer), 'seen=1');
    const answers = [];
    for (let i = 0; i < 12; ++i) answers.push((await chat.get('key=right')).status);
    assert.deepEqual([answers[0], answers.at(-1)], [200, 429]);
    assert.equal(await chat.open('chat', 'key=right'), 4429);
    assert.deepEqual(chat.errors, []);
  });

  test("widget.js runs on other sites' pages also behind helmet", async (context) => {
    const page = readFileSync(new URL('../../../docs/node.md', import.meta.url), 'utf8');
    const [, shown] = /```js widget\.js\n([^]*?)```/.exec(page);
    const folder = mkdtempSync(join(tmpdir(), 'travelchat-'));
    context.after(() => rmSync(folder, { recursive: true }));
    const widgetFile = join(folder, 'widget.js');
    writeFileSync(widgetFile, 'void 0;\n');
    const app = express();
    app.use(helmet());
    new Function('app', 'widgetFile', shown)(app, widgetFile);
    app.get('/other.js', (request, response) => response.sendFile(widgetFile));
    const chat = await start(way, { isAuthenticated: (request, response) => response.sendStatus(401) }, { app });
    const [widget, other] = await Promise.all(['/widget.js', '/other.js'].map((path) => fetch(chat.origin + path)));
    assert.equal(await widget.text(), 'void 0;\n');
    assert.match(widget.headers.get('content-type'), /^text\/javascript/);
    assert.equal(widget.headers.get('cross-origin-resource-policy'), 'cross-origin');
    assert.equal(widget.headers.get('access-control-allow-origin'), '*');
    assert.equal(other.headers.get('cross-origin-resource-policy'), 'same-origin');
  });

  test('the application is found behind a function when it is named', async () => {
    const app = express();
    const isAuthenticated = (request, response, next) => {
      if (request.get('Cookie') === undefined) return response.status(401).send(request.path);
      request.userId = 'ada';
      next();
    };
    await holds(await start(way, { app, isAuthenticated }, { app, wrap: true }), 'key=right');
  });

  test('a middleware that answers in any other way refuses', async () => {
    const ways = {
      end: (request, response) => response.end(),
      write: (request, response) => response.write('No'),
      writeHead: (request, response) => response.writeHead(401),
      flushHeaders: (request, response) => response.flushHeaders(),
      sendFile: (request, response) => response.sendFile(import.meta.filename),
      later: (request, response) => setImmediate(() => response.json({})),
      destroy: (request, response) => response.destroy(new Error('away')),
      both: (request, response, next) => {
        response.sendStatus(401);
        next();
      },
      route: (request, response, next) => next('route'),
      router: (request, response, next) => next('router'),
    };
    const chat = await start(way, { isAuthenticated: (request, response, next) => ways[/way=(\w+)/.exec(request.get('Cookie'))[1]](request, response, next) });
    for (const name of Object.keys(ways)) {
      assert.equal((await chat.get(`way=${name}`)).status, 401, name);
      assert.equal(await chat.open('chat', `way=${name}`), 4401, name);
    }
    assert.deepEqual(chat.errors, []);
  });

  test('a middleware that answers with a problem of the application does not sign anybody out', async () => {
    const chat = await start(way, {
      isAuthenticated: (request, response) => response.status(Number(/status=(\w+)/.exec(request.get('Cookie'))[1])).json({}),
    });
    const codes = [];
    for (const status of [401, 403, 404, 200, 429, 500, 503]) {
      const answer = await chat.get(`status=${status}`);
      codes.push(answer.status, (await answer.json()).code);
    }
    assert.deepEqual(codes, [401, 'unauthenticated', 401, 'unauthenticated', 401, 'unauthenticated', 401, 'unauthenticated',
      429, 'rate_limited', 500, 'internal', 503, 'overloaded']);
  });

  test('a middleware that fails refuses, and is told', async () => {
    const ways = {
      next: (request, response, next) => next(new Error('failed')),
      falsy: (request, response, next) => next(false),
      empty: (request, response, next) => next(''),
      zero: (request, response, next) => next(0),
      throws: () => { throw new Error('failed'); },
      rejects: async () => { throw new Error('failed'); },
      rejectsWithNothing: () => Promise.reject(),
    };
    const chat = await start(way, { isAuthenticated: (request, response, next) => ways[/way=(\w+)/.exec(request.get('Cookie'))[1]](request, response, next) });
    for (const name of Object.keys(ways)) assert.equal((await chat.get(`way=${name}`)).status, 500, name);
    assert.equal(chat.errors.length, Object.keys(ways).length);
  });

  test('nobody is signed in as nothing', async () => {
    const nobodies = { undefined: undefined, null: null };
    const wrong = { empty: { orgId: '', id: '' }, noId: { orgId: 'org-1' }, noOrganization: { id: 'ada' }, space: { orgId: 'org 1', id: 'ada' }, yes: true, text: 'ada' };
    const chat = await start(way, {
      isAuthenticated: (request, response, next) => next(),
      advisor: (request) => ({ ...nobodies, ...wrong })[/who=(\w+)/.exec(request.get('Cookie'))[1]],
    });
    for (const name of Object.keys(nobodies)) {
      assert.equal((await chat.get(`who=${name}`)).status, 401, name);
      assert.equal(await chat.open('inbox', `who=${name}`), 4401, name);
    }
    assert.deepEqual(chat.errors, []);
    for (const name of Object.keys(wrong)) assert.equal((await chat.get(`who=${name}`)).status, 500, name);
    assert.equal(chat.errors.length, Object.keys(wrong).length);
  });

  test('a credential that is no cookie, but comes from a browser by itself, does not write from another origin', async () => {
    const chat = await start(way, { isAuthenticated: (request, response, next) => { request.userId = 'ada'; next(); } });
    const write = async (headers) => (await fetch(`${chat.origin}/api/conversations/${chat.conversation.id}/messages`, {
      method: 'POST', headers: { 'content-type': 'application/json', origin: 'https://evil.example', ...headers },
      body: JSON.stringify({ content: 'Hello' }),
    })).status;
    assert.equal(await write({}), 403);
    assert.equal(await write({ authorization: 'Basic YWRhOmFkYQ==' }), 403);
    assert.equal(await write({ authorization: 'Negotiate YWRhOmFkYQ==' }), 403);
    assert.equal(await write({ authorization: 'Bearer a.b.c', cookie: 'a=b' }), 403);
    assert.equal(await write({ authorization: 'Bearer a.b.c' }), 201);
  });
});

describe('a host that lacks something is refused with its name', () => {
  const isAuthenticated = (request, response, next) => next();
  const whole = { isAuthenticated, orgMiddleware, ...functions };
  for (const [name, change, message] of [
    ['a middleware of the session', { session: [undefined] }, 'expressHost.session[0] must be a function (request, response, next), not undefined'],
    ['the session', { session: undefined }, 'expressHost.session must be an array of middlewares, not undefined'],
    ['the array', { session: isAuthenticated }, 'expressHost.session must be an array of middlewares, not a function of 3 parameters'],
    ['a hole', { session: [isAuthenticated, , isAuthenticated] }, 'expressHost.session[1] must be a function (request, response, next), not undefined'],
    ['isAuthenticated', { isAuthenticated: undefined }, 'expressHost.isAuthenticated must be a function (request, response, next), not undefined'],
    ['orgMiddleware', { orgMiddleware: null }, 'expressHost.orgMiddleware must be a function (request, response, next), not null'],
    ['a middleware, for an error handler', { orgMiddleware: (error, request, response, next) => next() }, 'expressHost.orgMiddleware must be a function (request, response, next), not a function of 4 parameters'],
    ['advisor', { advisor: {} }, 'expressHost.advisor must be a function, not an object'],
    ['getTripFullView', { getTripFullView: undefined }, 'expressHost.getTripFullView must be a function, not undefined'],
    ['getClient', { getClient: 'x' }, 'expressHost.getClient must be a function, not "x"'],
    ['sendPushToOrg', { sendPushToOrg: undefined }, 'expressHost.sendPushToOrg must be a function, not undefined'],
    ['getActiveTrip', { getActiveTrip: null }, 'expressHost.getActiveTrip must be a function, not null'],
    ['searchClients', { searchClients: [] }, 'expressHost.searchClients must be a function, not an array'],
    ['checkSessions', { checkSessions: undefined }, 'expressHost.checkSessions must have a value, or be left out, and is undefined'],
    ['the application', { app: {} }, 'expressHost.app must be an Express application, not an object'],
    ['nothing, but has a word too many', { sesion: [] }, 'expressHost has no option "sesion"'],
  ]) {
    test(name, () => assert.throws(() => expressHost({ ...whole, ...change }), { name: 'TypeError', message }));
  }

  test('all of it', () => {
    for (const nothing of [undefined, null, [], 'host', () => undefined]) {
      assert.throws(() => expressHost(nothing), { name: 'TypeError', message: /^expressHost must be an object/ });
    }
  });

  test('but one that has a class may have more than is asked for', () => {
    class Host {
      #secret = 1;
      extra = 1;
      isAuthenticated(request, response, next) { next(); }
      orgMiddleware(request, response, next) { next(); }
      advisor() { return this.#secret; }
      getTripFullView() {}
      getClient() { return this.#secret; }
      sendPushToOrg() {}
    }
    expressHost(new Host());
    expressHost({ ...whole, session: [], getActiveTrip: undefined, searchClients: undefined });
  });
});
