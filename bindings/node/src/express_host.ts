import { ServerResponse, type IncomingMessage } from 'node:http';

import type { Advisor, ChatHost, ClientCard, Middleware } from './host';
import type { MaybePromise } from './types';

/** What `expressHost` makes a host of: the functions that a Travel Lab application has. */
export interface ExpressHost {
  /**
   * What must have run before `isAuthenticated`: the session, passport. They run on the requests of WebSockets, which
   * Express does not see, and do nothing twice on those that it does.
   */
  session?: Middleware[];
  isAuthenticated: Middleware;
  orgMiddleware: Middleware;
  /** Who it is, once both have let the request pass. */
  advisor(request: any): MaybePromise<Omit<Advisor, 'byCookie'>>;
  getTripFullView(tripId: string): MaybePromise<
    | {
        trip: {
          id: string;
          orgId: string;
          clientId?: string | null;
          title?: string | null;
          shareEnabled?: boolean | null;
          shareToken?: string | null;
        };
        client?: { fullName?: string | null } | null;
        advisor?: { fullName?: string | null; avatarUrl?: string | null } | null;
      }
    | null
    | undefined
  >;
  getClient(
    clientId: string,
    orgId: string,
  ): MaybePromise<{ id: string; fullName: string; avatarUrl?: string | null } | null | undefined>;
  /** For the banner of a conversation. */
  getActiveTrip?(clientId: string, orgId: string): MaybePromise<{ id: string; title: string } | null | undefined>;
  searchClients?(orgId: string, text: string): MaybePromise<string[]>;
  sendPushToOrg(orgId: string, notification: { title: string; body: string; url: string }): MaybePromise<unknown>;
}

/** A host made of what an Express application has: its middlewares and its storage's functions. */
export function expressHost(app: ExpressHost): ChatHost {
  const chain = [...(app.session ?? []), app.isAuthenticated, app.orgMiddleware];
  return {
    async authenticate(credentials, request) {
      if (!(await passes(chain, request))) return null;
      // A cookie comes with every request, also with one that somebody else's page has caused.
      return { ...(await app.advisor(request)), byCookie: credentials.cookie !== '' };
    },
    async findTrip(tripId) {
      const view = await app.getTripFullView(tripId);
      if (view === null || view === undefined) return null;
      const { trip, client, advisor } = view;
      return {
        id: trip.id,
        orgId: trip.orgId,
        clientId: trip.clientId ?? null,
        title: trip.title ?? '',
        shareEnabled: trip.shareEnabled ?? false,
        shareToken: trip.shareToken ?? null,
        clientName: client?.fullName ?? null,
        advisorName: advisor?.fullName ?? null,
        advisorAvatarUrl: advisor?.avatarUrl ?? null,
      };
    },
    async findClients(orgId, clientIds) {
      const cards = await Promise.all(
        clientIds.map(async (id): Promise<ClientCard | undefined> => {
          const [client, trip] = await Promise.all([app.getClient(id, orgId), app.getActiveTrip?.(id, orgId)]);
          if (client === null || client === undefined) return undefined;
          return { id, name: client.fullName, avatarUrl: client.avatarUrl ?? null, activeTrip: trip ?? null };
        }),
      );
      return cards.filter((card) => card !== undefined);
    },
    searchClients: (orgId, text) => app.searchClients?.(orgId, text) ?? [],
    async notify({ orgId, title, body, url }) {
      await app.sendPushToOrg(orgId, { title, body, url });
    },
  };
}

// What the middlewares are given to answer with: whoever answers has refused the request. What it answers is dropped, since
// the chat's own answer is what the contract says.
class Refusal extends ServerResponse {
  #refuse: (() => void) | undefined;

  /** Calls `refuse` when a middleware answers. */
  onRefused(refuse: () => void): this {
    this.#refuse = refuse;
    return this;
  }
  override end(): this {
    this.#refuse?.();
    return this;
  }
  status(): this {
    return this;
  }
  send(): this {
    return this.end();
  }
  json(): this {
    return this.end();
  }
  sendStatus(): this {
    return this.end();
  }
  redirect(): this {
    return this.end();
  }
  render(): this {
    return this.end();
  }
}

// Whether every middleware lets the request pass.
function passes(chain: Middleware[], request: IncomingMessage): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const response = new Refusal(request).onRefused(() => resolve(false));
    const step = (index: number) => {
      const middleware = chain[index];
      if (middleware === undefined) {
        resolve(true);
        return;
      }
      try {
        const done = middleware(request, response, (error?: unknown) => (error ? reject(error) : step(index + 1)));
        if (done instanceof Promise) done.catch(reject);
      } catch (error) {
        reject(error);
      }
    };
    step(0);
  });
}
