import { createServer } from 'node:http';
import { join } from 'node:path';

import express from 'express';
import { ChatEngine, chatRoutes, expressHost, setupWebSocket, sqlite } from 'travelchat';

import { authentication, registerAccounts } from '../server/auth.ts';
import { loadDemo, registerDemo } from '../server/demo.ts';
import { accessLog, refuseAmbiguous, refuseCrossOrigin } from '../server/guards.ts';
import { httpLimits, listen, refuseInJson } from '../server/listen.ts';
import { parseOptions } from '../server/options.ts';
import { activeTrip, registerPages, registerSite } from '../server/site.ts';
import { Storage } from '../server/storage.ts';
import { loadConversations } from './demo.ts';
import { sendPushToOrg } from '../server/push.ts';

const options = parseOptions(process.argv.slice(2));
const storage = new Storage(options.dataDir);
const auth = authentication(storage);
const app = express();
const httpServer = createServer(httpLimits, app);

const engine = new ChatEngine(sqlite({ path: join(options.dataDir, 'chat.db') }), {
  shards: options.ioThreads,
  tokenLifetime: options.tokenLifetimeMs,
});
const host = expressHost({
  session: [auth.sessions],
  isAuthenticated: auth.isAuthenticated,
  orgMiddleware: auth.orgMiddleware,
  advisor: ({ profile }) => ({ orgId: profile.orgId, id: profile.id, name: profile.fullName, avatarUrl: profile.avatarUrl }),
  getTripFullView: (tripId) => storage.getTripFullView(tripId),
  getClient: (clientId, orgId) => storage.getClient(clientId, orgId),
  getActiveTrip: (clientId) => activeTrip(storage, clientId),
  searchClients: (orgId, text) => storage.searchClients(orgId, text),
  sendPushToOrg,
});

app.use(accessLog, refuseAmbiguous);
app.use(chatRoutes(engine, host, {
  allowedOrigins: options.allowedOrigins,
  pingInterval: options.pingIntervalMs,
  silenceTimeout: options.silenceTimeoutMs,
  ...(options.rateLimits ? {} : { rateLimits: false }),
}));
setupWebSocket(httpServer, engine);

app.use(auth.sessions, refuseCrossOrigin, express.json({ limit: '64kb' }));
registerAccounts(app, storage, auth);
registerSite(app, storage, auth);
if (options.demo !== undefined) {
  await loadConversations(engine, loadDemo(storage, options.demo));
  registerDemo(app, storage);
}
registerPages(app, options.webDir);

refuseInJson(httpServer);
listen(httpServer, options, async () => {
  await engine.close();
  storage.close();
});
