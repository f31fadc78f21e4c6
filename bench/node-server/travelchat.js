// The same application with travelchat in it: the chat's routes and sockets are the engine's, accounts and trips remain the
// application's.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { attachChat, ChatEngine, chatRoutes, expressHost, postgres, setupWebSocket, sqlite } from 'travelchat';

export function embed(app, httpServer, storage, { isAuthenticated, orgMiddleware, sendPushToOrg }, options) {
  if (options.data) mkdirSync(options.data, { recursive: true });
  const engine = new ChatEngine(
    options.storage ? postgres({ url: options.storage }) : sqlite({ path: join(options.data, 'chat.sqlite') }), { shards: 1 });
  const host = expressHost({
    isAuthenticated,
    orgMiddleware,
    advisor: ({ userId, profile }) => ({ orgId: profile.orgId, id: userId, name: profile.fullName }),
    async getTripFullView(tripId) {
      const trip = await storage.getTripFullView(tripId);
      return trip && {
        trip: { ...trip, shareEnabled: Boolean(trip.shareEnabled) },
        client: { fullName: trip.clientName },
        advisor: { fullName: trip.advisorName, avatarUrl: trip.advisorAvatar },
      };
    },
    getClient: (clientId, orgId) => storage.getClient(clientId, orgId),
    sendPushToOrg,
  });
  if (options.middleware) {
    app.use(chatRoutes(engine, host, { rateLimits: false }));
    setupWebSocket(httpServer, engine);
  } else {
    attachChat(httpServer, engine, host, { rateLimits: false });
  }
  return engine;
}
