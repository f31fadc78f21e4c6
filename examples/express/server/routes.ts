// Everything that the application answers besides its chat.
import type { Server } from 'node:http';

import type { Express } from 'express';

import { registerAccounts, type Authentication } from './auth.ts';
import type { Options } from './options.ts';
import { registerPages, registerSite } from './site.ts';
import type { Storage } from './storage.ts';

/** `httpServer` is for what is no request, as in the application that this one stands for; here nothing is. */
export async function registerRoutes(_httpServer: Server, app: Express, storage: Storage, auth: Authentication,
  { webDir }: Options): Promise<void> {
  registerAccounts(app, storage, auth);
  registerSite(app, storage, auth);
  registerPages(app, webDir);
}
