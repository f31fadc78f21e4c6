import { createServer } from 'node:http';

import express from 'express';
import { attachChat, ChatEngine, chatRoutes, expressHost, foldText, postgres, setupWebSocket, sqlite } from 'travelchat';

import { authentication } from '../server/auth.ts';
import { openDatabase } from '../server/database.ts';
import { loadDemo, refuseDemo, registerDemo } from '../server/demo.ts';
import { logRequests, refuseAmbiguous, refuseCrossOrigin } from '../server/guards.ts';
import { httpLimits, listen, refuseInJson } from '../server/listen.ts';
import { parseOptions } from '../server/options.ts';
import { sendPushToOrg } from '../server/push.ts';
import { registerRoutes } from '../server/routes.ts';
import { Storage } from '../server/storage.ts';
import { loadConversations } from './conversations.ts';

const options = parseOptions(process.argv.slice(2));
const database = await openDatabase(options);
const storage = new Storage(database);
const auth = authentication(storage, options);
const app = express();
const httpServer = createServer(httpLimits, app);

app.set('trust proxy', options.trustedProxies);
app.use(refuseAmbiguous);
const engine = new ChatEngine(
  options.storage ? postgres({ url: options.storage }) : sqlite({ path: `${options.dataDir}/chat.db` }), options.engine);
const host = expressHost({
  session: [auth.sessions],
  isAuthenticated: auth.isAuthenticated,
  orgMiddleware: auth.orgMiddleware,
  advisor: ({ profile, sessionID }) => ({
    orgId: profile.orgId, id: profile.id, name: profile.fullName, avatarUrl: profile.avatarUrl, sessionId: sessionID,
  }),
  getTripFullView: (tripId) => storage.getTripFullView(tripId),
  getClient: (clientId, orgId) => storage.getClient(clientId, orgId),
  getActiveTrip: (clientId) => storage.getActiveTrip(clientId),
  searchClients: (orgId, text) => storage.searchClients(orgId, text, foldText),
  checkSessions: (sessionIds) => auth.store.findLive(sessionIds),
  sendPushToOrg,
});
auth.store.on('ended', (sessionId: string) => engine.endSession(sessionId));
if (options.asMiddleware) {
  app.use(chatRoutes(engine, host, options.chat));
  setupWebSocket(httpServer, engine);
} else {
  attachChat(httpServer, engine, host, options.chat);
}
app.use(auth.sessions, refuseCrossOrigin, express.json({ limit: '64kb' }));
if (options.demo !== undefined) {
  await loadConversations(engine, await loadDemo(database, options.demo));
  registerDemo(app, database);
} else {
  await refuseDemo(database);
}
await registerRoutes(httpServer, app, storage, auth, options);

refuseInJson(httpServer);
logRequests(httpServer);
listen(httpServer, options, async () => {
  await engine.close();
  await database.close();
});
