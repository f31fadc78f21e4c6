// Clients, trips and pages: what the application has besides its chat.
import { existsSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';

import express, { type Express, type NextFunction, type Request, type Response } from 'express';

import { fail, orgOf, type Authentication } from './auth.ts';
import { equalSecrets } from './secrets.ts';
import type { Storage } from './storage.ts';
import type { Client, Trip } from '../shared/schema.ts';

const clientRow = async (storage: Storage, { id, orgId, fullName, email, avatarUrl }: Client) =>
  ({ id, orgId, fullName, email, avatarUrl, activeTrip: await storage.getActiveTrip(id) });

const publicTrip = ({ id, clientId, orgId, title, destination, startsOn, endsOn, summary }: Trip) =>
  ({ id, clientId, orgId, title, destination, startsOn, endsOn, summary });

export function registerSite(app: Express, storage: Storage, { isAuthenticated, orgMiddleware }: Authentication) {
  const signedIn = [isAuthenticated, orgMiddleware];

  app.get('/api/clients', signedIn, async (request: Request, response: Response) => {
    const clients = await storage.getClients(orgOf(request));
    response.json(await Promise.all(clients.map((client) => clientRow(storage, client))));
  });
  app.get('/api/clients/:id', signedIn, async (request: Request, response: Response) => {
    const client = await storage.getClient(request.params['id'] as string, orgOf(request));
    if (client === undefined) fail(response, 404, 'not_found', 'Not found.');
    else {
      response.json({ ...(await clientRow(storage, client)), trips: await storage.getTrips({ clientId: client.id }) });
    }
  });
  app.get('/api/trips', signedIn, async (request: Request, response: Response) => {
    response.json(await storage.getTrips({ orgId: orgOf(request) }));
  });
  app.get('/api/trip-view/:id', async (request, response) => {
    const view = await storage.getTripFullView(request.params.id);
    const token = request.query['token'];
    if (typeof token !== 'string') {
      fail(response, 400, 'missing_field', 'A required field is missing.');
    } else if (view === undefined) {
      fail(response, 404, 'not_found', 'Not found.');
    } else if (!view.trip.shareEnabled || !equalSecrets(token, view.trip.shareToken)) {
      fail(response, 403, 'sharing_disabled', 'This trip is not shared.');
    } else {
      const { trip, advisor, client } = view;
      response.json({
        trip: publicTrip(trip),
        advisor: advisor && { fullName: advisor.fullName, name: advisor.fullName, avatarUrl: advisor.avatarUrl },
        client: client && { fullName: client.fullName },
      });
    }
  });
}

// Pages of other origins run the widget, whatever the rest of the application is told about them.
function forOtherSites(response: { setHeader(name: string, value: string): unknown }, path: string) {
  if (basename(path) !== 'widget.js') return;
  response.setHeader('Cross-Origin-Resource-Policy', 'cross-origin');
  response.setHeader('Access-Control-Allow-Origin', '*');
}

/** The pages of examples/travel-lab/web, and the end of every path that nobody has answered. */
export function registerPages(app: Express, webDir: string | undefined) {
  const folder = resolve(webDir ?? join(import.meta.dirname, '../../travel-lab/web/dist'));
  if (existsSync(folder)) {
    app.use(express.static(folder, { setHeaders: forOtherSites }));
    app.get(/^\/(?!api\/|ws\/)[^.]*$/i, (_request, response) => response.sendFile(join(folder, 'index.html')));
  }
  app.use((_request: Request, response: Response) => fail(response, 404, 'not_found', 'Not found.'));
  app.use((error: { status?: number }, _request: Request, response: Response, _next: NextFunction) => {
    const status = error.status ?? 500;
    fail(response, status, status < 500 ? 'invalid_argument' : 'internal', status < 500 ? 'Bad request.' : 'Something went wrong.');
  });
}
