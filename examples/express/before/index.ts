import { createServer } from 'node:http';

import express from 'express';

import { authentication } from '../server/auth.ts';
import { openDatabase } from '../server/database.ts';
import { loadDemo, refuseDemo, registerDemo } from '../server/demo.ts';
import { logRequests, refuseAmbiguous, refuseCrossOrigin } from '../server/guards.ts';
import { httpLimits, listen, refuseInJson } from '../server/listen.ts';
import { parseOptions } from '../server/options.ts';
import { registerRoutes } from '../server/routes.ts';
import { Storage } from '../server/storage.ts';
import { loadConversations, registerConversations } from './conversations.ts';

const options = parseOptions(process.argv.slice(2));
const database = await openDatabase(options);
const storage = new Storage(database);
const auth = authentication(storage, options);
const app = express();
const httpServer = createServer(httpLimits, app);

app.set('trust proxy', options.trustedProxies);
app.use(refuseAmbiguous);
app.use(auth.sessions, refuseCrossOrigin, express.json({ limit: '64kb' }));
await registerConversations(app, storage, auth);
if (options.demo !== undefined) {
  await loadConversations(database, await loadDemo(database, options.demo));
  registerDemo(app, database);
} else {
  await refuseDemo(database);
}
await registerRoutes(httpServer, app, storage, auth, options);

refuseInJson(httpServer);
logRequests(httpServer);
listen(httpServer, options, async () => {
  await database.close();
});
