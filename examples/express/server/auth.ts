// The application's own sessions and middlewares.
import type { Express, NextFunction, Request, RequestHandler, Response } from 'express';
import session from 'express-session';

import type { Options } from './options.ts';
import { sessionSecret } from './secrets.ts';
import { SessionStore, type Storage } from './storage.ts';

declare module 'express-session' {
  interface SessionData {
    userId: string;
  }
}
declare module 'express-serve-static-core' {
  interface Request {
    profile?: NonNullable<Awaited<ReturnType<Storage['getProfile']>>>;
  }
}

export const fail = (response: Response, status: number, code: string, message: string) =>
  response.status(status).json({ message, code });

export function authentication(storage: Storage, { dataDir }: Pick<Options, 'dataDir'>) {
  const store = new SessionStore(storage.database);
  const sessions: RequestHandler = session({
    store,
    secret: sessionSecret(dataDir),
    name: 'travel_lab',
    resave: false,
    saveUninitialized: false,
    cookie: { httpOnly: true, sameSite: 'lax', maxAge: 30 * 24 * 3600 * 1000 },
  });
  const isAuthenticated = (request: Request, response: Response, next: NextFunction) => {
    if (request.session.userId) next();
    else fail(response, 401, 'unauthenticated', 'Please sign in.');
  };
  const orgMiddleware = async (request: Request, response: Response, next: NextFunction) => {
    const profile = await storage.getProfile(request.session.userId as string);
    if (profile === undefined) {
      fail(response, 401, 'unauthenticated', 'Please sign in.');
      return;
    }
    request.profile = profile;
    next();
  };
  return { store, sessions, isAuthenticated, orgMiddleware };
}

export type Authentication = ReturnType<typeof authentication>;

/** The organization of whoever has passed `orgMiddleware`. */
export function orgOf(request: Request): string {
  if (!request.profile?.orgId) throw new Error('nobody has passed orgMiddleware');
  return request.profile.orgId;
}

export function registerAccounts(app: Express, storage: Storage, { isAuthenticated, orgMiddleware }: Authentication) {
  app.post('/api/login', async (request, response, next) => {
    const { email, password } = (request.body ?? {}) as { email?: unknown; password?: unknown };
    if (typeof email !== 'string' || typeof password !== 'string') {
      fail(response, 400, 'missing_field', 'A required field is missing.');
      return;
    }
    const userId = await storage.checkPassword(email, password);
    const profile = userId === undefined ? undefined : await storage.getProfile(userId);
    if (userId === undefined || profile === undefined) {
      fail(response, 401, 'unauthenticated', 'E-mail or password is wrong.');
      return;
    }
    request.session.regenerate((error) => {
      if (error) {
        next(error);
        return;
      }
      request.session.userId = userId;
      response.json(account(profile));
    });
  });
  app.post('/api/logout', (request, response, next) => {
    // While the session may still be there, nobody is told that it is gone.
    request.session.destroy((error) => (error ? next(error) : response.json({ ok: true })));
  });
  app.get('/api/me', isAuthenticated, orgMiddleware, (request, response) => {
    response.json(account(request.profile));
  });
}

function account(profile: Request['profile']) {
  return { ...profile, name: profile?.fullName };
}
