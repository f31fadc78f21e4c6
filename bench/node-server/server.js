// The chat of the specification on the stack that it names: Express, ws, and PostgreSQL through pg or SQLite through
// better-sqlite3 with synchronous=FULL. It is the baseline of scripts/bench, written as that stack's competent user would:
// prepared statements, one fsync for each message, one JSON.stringify for each broadcast. It has the routes that the bench
// measures and those it needs to get there.
//
//   node server.js [--listen 127.0.0.1:0] (--data DIR | --storage postgres://...) [--demo=CLIENTS]
//     [--travelchat [--middleware]]
//
// With --travelchat the chat is the engine's (bindings/node), in the same application: what the embedding is measured by.
// It is attached to the HTTP server or, with --middleware, one of the application's middlewares.
// SIGUSR2 makes it print the event loop's delay since the last time as "loop {...}", in milliseconds.
//
// The database must be empty; its URL may also be in TRAVELCHAT_STORAGE. Prints "ready http://HOST:PORT" once it answers.
import express from 'express';
import { createServer } from 'node:http';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { makeDemo, publicPart } from './demo.js';
import { matches } from './passwords.js';
import { PostgresStorage } from './postgres_storage.js';
import { SqliteStorage } from './sqlite_storage.js';
import { broadcastNewMessage, broadcastReactionUpdate, broadcastSeen, setupWebSocket } from './websocket.js';

const { values: options } = parseArgs({
  options: {
    listen: { type: 'string', default: '127.0.0.1:0' },
    data: { type: 'string' },
    storage: { type: 'string', default: process.env.TRAVELCHAT_STORAGE },
    demo: { type: 'string', default: '20' },
    travelchat: { type: 'boolean', default: false },
    middleware: { type: 'boolean', default: false },
  },
});
if (!options.data && !options.storage) {
  console.error('--data DIR or --storage URL is required');
  process.exit(2);
}

function openStorage() {
  if (options.storage) return new PostgresStorage(options.storage);
  mkdirSync(options.data, { recursive: true });
  return new SqliteStorage(join(options.data, 'node.sqlite'));
}

const storage = openStorage();
const demo = makeDemo(Number(options.demo));
await storage.seed(demo);

const app = express();
app.disable('x-powered-by');
app.disable('etag');
const httpServer = createServer(app);

const sessionCookie = /(?:^|;\s*)connect\.sid=([^;]+)/;

// A session store's look-up for every request, as express-session does it; without its write per request.
async function isAuthenticated(req, res, next) {
  const sid = sessionCookie.exec(req.headers.cookie ?? '')?.[1];
  const session = sid && await storage.getSession(sid);
  if (!session) {
    res.status(401).json({ message: 'Unauthorized' });
    return;
  }
  req.userId = session.userId;
  next();
}

async function orgMiddleware(req, res, next) {
  const profile = await storage.getProfile(req.userId);
  if (!profile) {
    res.status(403).json({ message: 'No organization' });
    return;
  }
  req.profile = profile;
  req.orgId = profile.orgId;
  next();
}

const advisor = [isAuthenticated, orgMiddleware];
const emojis = new Set(['❤️', '👍', '😂', '😮', '😢', '👎']);

// Nobody waits for it; the demo data has no subscriptions, so it costs its query.
async function sendPushToOrg(orgId, notification) {
  for (const subscription of await storage.getPushSubscriptions(orgId)) {
    await fetch(subscription.endpoint, { method: 'POST', body: JSON.stringify(notification) });
  }
}

let engine;
if (options.travelchat) {
  const { embed } = await import('./travelchat.js');
  engine = embed(app, httpServer, storage, { isAuthenticated, orgMiddleware, sendPushToOrg }, options);
} else {
  setupWebSocket(httpServer);
}
// The engine's routes read their bodies themselves.
app.use(express.json({ limit: '64kb' }));

app.get('/api/demo', (req, res) => res.json(publicPart(demo)));

app.post('/api/login', async (req, res) => {
  const { email, password } = req.body ?? {};
  const user = typeof email === 'string' ? await storage.getUserByEmail(email) : null;
  if (!user || typeof password !== 'string' || !matches(password, user)) {
    res.status(401).json({ message: 'Wrong e-mail or password' });
    return;
  }
  res.cookie('connect.sid', await storage.createSession(user.id), { httpOnly: true, sameSite: 'lax' }).json({ ok: true });
});

app.get('/api/chat-token', async (req, res) => {
  const { tripId, shareToken } = req.query;
  if (!tripId || !shareToken) return res.status(400).json({ message: 'tripId and shareToken are required' });
  const trip = await storage.getTripFullView(tripId);
  if (!trip) return res.status(404).json({ message: 'Trip not found' });
  if (!trip.shareEnabled || trip.shareToken !== shareToken) return res.status(403).json({ message: 'Not shared' });
  if (!trip.clientId) return res.status(400).json({ message: 'Trip has no client' });
  const conversation = await storage.getOrCreateConversation(trip.orgId, trip.clientId);
  const chatToken = await storage.createClientChatToken(trip.clientId, trip.orgId, trip.id);
  return res.json({
    chatToken,
    conversationId: conversation.id,
    clientId: trip.clientId,
    clientName: trip.clientName,
    orgId: trip.orgId,
    advisorName: trip.advisorName,
    advisorAvatar: trip.advisorAvatar,
  });
});

app.post('/api/conversations/:id/messages', advisor, async (req, res) => {
  const { content } = req.body ?? {};
  if (typeof content !== 'string' || !content.trim()) return res.status(400).json({ message: 'content is required' });
  const conversation = await storage.getConversationById(req.params.id);
  if (!conversation || conversation.orgId !== req.orgId) return res.status(404).json({ message: 'Not found' });
  const message = await storage.createMessage({
    conversationId: conversation.id,
    orgId: req.orgId,
    senderType: 'advisor',
    senderId: req.userId,
    senderName: req.profile.fullName,
    content: content.trim(),
  });
  broadcastNewMessage(conversation.id, message);
  return res.status(201).json(message);
});

app.post('/api/conversations/:id/messages/client', async (req, res) => {
  const { content, chatToken } = req.body ?? {};
  if (typeof content !== 'string' || !content.trim() || !chatToken) {
    return res.status(400).json({ message: 'content and chatToken are required' });
  }
  const claims = await storage.validateClientChatToken(chatToken);
  if (!claims) return res.status(401).json({ message: 'Invalid or expired token' });
  const conversation = await storage.getConversationById(req.params.id);
  if (!conversation || conversation.orgId !== claims.orgId || conversation.clientId !== claims.clientId) {
    return res.status(404).json({ message: 'Not found' });
  }
  const client = await storage.getClient(claims.clientId, claims.orgId);
  const message = await storage.createMessage({
    conversationId: conversation.id,
    orgId: claims.orgId,
    senderType: 'client',
    senderId: claims.clientId,
    senderName: client.fullName,
    content: content.trim(),
  });
  broadcastNewMessage(conversation.id, message);
  sendPushToOrg(claims.orgId, {
    title: `New message from ${client.fullName}`,
    body: message.content.slice(0, 100),
    url: `/dashboard/messages?id=${conversation.id}`,
  }).catch((error) => console.error('push failed', error));
  return res.status(201).json(message);
});

app.post('/api/conversations/:id/read/client', async (req, res) => {
  const claims = await storage.validateClientChatToken(req.body?.chatToken ?? '');
  if (!claims) return res.status(401).json({ message: 'Invalid or expired token' });
  const conversation = await storage.getConversationById(req.params.id);
  if (!conversation || conversation.orgId !== claims.orgId || conversation.clientId !== claims.clientId) {
    return res.status(404).json({ message: 'Not found' });
  }
  await storage.markConversationSeenByClient(conversation.id);
  broadcastSeen(conversation.id, new Date().toISOString());
  return res.json({ ok: true });
});

app.route('/api/conversations/:id/messages/:messageId/reactions')
  .post(advisor, async (req, res) => {
    const { emoji } = req.body ?? {};
    if (!emojis.has(emoji)) return res.status(400).json({ message: 'Invalid emoji' });
    const { id, messageId } = req.params;
    const reactor = { type: 'advisor', id: req.userId, name: req.profile.fullName };
    await storage.addReaction(messageId, id, req.orgId, reactor, emoji);
    const reactions = await storage.getReactionsForMessage(messageId);
    broadcastReactionUpdate(id, messageId, reactions);
    return res.json(reactions);
  })
  .delete(advisor, async (req, res) => {
    const { id, messageId } = req.params;
    await storage.removeReaction(messageId, req.userId, 'advisor');
    const reactions = await storage.getReactionsForMessage(messageId);
    broadcastReactionUpdate(id, messageId, reactions);
    return res.json(reactions);
  });

httpServer.keepAliveTimeout = 120_000;

const [host, port] = options.listen.split(':');
httpServer.listen({ host, port: Number(port), backlog: 4096 }, () => {
  console.log(`ready http://${host}:${httpServer.address().port}`);
});

// The histogram counts from one sample to the next: of that, the interval is no delay.
const SAMPLE_MS = 1;
const delay = monitorEventLoopDelay({ resolution: SAMPLE_MS });
delay.enable();
process.on('SIGUSR2', () => {
  const late = (ns) => Math.max(0, ns / 1e6 - SAMPLE_MS);
  console.log(`loop ${JSON.stringify({ p50: late(delay.percentile(50)), p99: late(delay.percentile(99)), max: late(delay.max) })}`);
  delay.reset();
});

process.on('SIGTERM', async () => {
  await engine?.close();
  await storage.close();
  process.exit(0);
});
