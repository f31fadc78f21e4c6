import { applicationOf, isExpressApplication, type ExpressApplication } from './express_app';
import type { Advisor, ChatHost, ClientCard, Credentials, Middleware } from './host';
import { MiddlewareRun } from './middlewares';
import { anyFunction, check, mustBe, optional, refuseNullish, type Check } from './options';
import type { MaybePromise } from './types';

/** What `expressHost` makes a host of: the functions that a Travel Lab application has. */
export interface ExpressHost {
  /**
   * The Express application, which requests and responses get `request.get`, `response.cookie` and so on from. Needed only
   * where the HTTP server's listener is a function around it; left out, it is the one that listens to the server.
   */
  app?: unknown;
  /**
   * The middlewares that `isAuthenticated` needs: the session, passport. They run also on the requests of WebSockets,
   * which Express does not see; on requests that Express has handled they run again, and must have no further effect.
   * Cookies that they set go with the chat's answer; what else they write to the response is dropped. A middleware that
   * sends an answer refuses the request.
   */
  session?: Middleware[];
  isAuthenticated: Middleware;
  orgMiddleware: Middleware;
  /** Who is signed in; called once both middlewares have let the request pass. null or undefined: nobody. */
  advisor(request: any): MaybePromise<Omit<Advisor, 'byCookie'> | null | undefined>;
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
  /** Those of the sessions (`sessionId` of `advisor`) that have not ended; see `ChatHost`. */
  checkSessions?(sessionIds: string[]): MaybePromise<string[]>;
  sendPushToOrg(orgId: string, notification: { title: string; body: string; url: string }): MaybePromise<unknown>;
}

const isMiddleware = (value: unknown) => typeof value === 'function' && value.length <= 3;

const middleware: Check = (value, name) => mustBe(isMiddleware(value), value, name, 'a function (request, response, next)');

const parts: Record<keyof ExpressHost, Check> = {
  app: optional((value, name) => mustBe(isExpressApplication(value), value, name, 'an Express application')),
  // Given but undefined is refused: without the session, isAuthenticated cannot work.
  session(value, name, from) {
    if (value === undefined && !('session' in from)) return;
    mustBe(Array.isArray(value), value, name, 'an array of middlewares');
    for (const [index, one] of (value as unknown[]).entries()) middleware(one, `${name}[${index}]`, from);
  },
  isAuthenticated: middleware,
  orgMiddleware: middleware,
  advisor: anyFunction,
  getTripFullView: anyFunction,
  getClient: anyFunction,
  getActiveTrip: optional(anyFunction),
  checkSessions: optional(anyFunction),
  searchClients: optional(anyFunction),
  sendPushToOrg: anyFunction,
};

// Whether a browser adds these credentials by itself, so that a page of another origin could have caused the request: a
// cookie, the credentials of HTTP's own schemes, or what is no header at all, such as a certificate or an address.
function isAmbient({ cookie, authorization }: Credentials): boolean {
  return cookie !== '' || authorization === '' || /^(basic|digest|negotiate|ntlm)\b/i.test(authorization);
}

// Checked here already, so that the error names the application's function. The chat's own check would name a function of
// ChatHost, or a part of what is made of the answer.
function mustAnswer(answer: unknown, name: string, expected: string, ...texts: unknown[]): void {
  const isRight = texts.every((text) => typeof text === 'string');
  mustBe(isRight, answer, `${name}()`, `an object ${expected} with strings, or nothing`);
}

/**
 * A host made of what an Express application has: its middlewares and its storage's functions. Throws a TypeError that names
 * what is missing, of the wrong type, or unknown.
 */
export function expressHost(app: ExpressHost): ChatHost {
  check(app, 'expressHost', parts);
  refuseNullish(app, 'expressHost', 'checkSessions');
  const application = app.app as ExpressApplication | undefined;
  const chain: readonly Middleware[] = [...(app.session ?? []), app.isAuthenticated, app.orgMiddleware];
  return {
    async authenticate(credentials, request) {
      const run = new MiddlewareRun(request, applicationOf(request, application));
      try {
        if (!(await run.passes(chain))) return null;
        const advisor = await app.advisor(run.request);
        if (advisor === null || advisor === undefined) return null;
        mustAnswer(advisor, 'advisor', '{ orgId, id }', advisor.orgId, advisor.id);
        return { ...advisor, byCookie: isAmbient(credentials) };
      } finally {
        run.end();
      }
    },
    async findTrip(tripId) {
      const view = await app.getTripFullView(tripId);
      if (view === null || view === undefined) return null;
      mustAnswer(view, 'getTripFullView', '{ trip: { id, orgId } }', view.trip?.id, view.trip?.orgId);
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
          mustAnswer(client, 'getClient', '{ fullName }', client.fullName);
          if (trip !== null && trip !== undefined) mustAnswer(trip, 'getActiveTrip', '{ id, title }', trip.id, trip.title);
          return { id, name: client.fullName, avatarUrl: client.avatarUrl ?? null, activeTrip: trip ?? null };
        }),
      );
      return cards.filter((card) => card !== undefined);
    },
    searchClients: (orgId, text) => app.searchClients?.(orgId, text) ?? [],
    // An answer of undefined is not replaced by a default: a mistake in the application must not keep every session
    // alive.
    checkSessions: (sessionIds) => (app.checkSessions === undefined ? sessionIds : app.checkSessions(sessionIds)),
    async notify({ orgId, title, body, url }) {
      await app.sendPushToOrg(orgId, { title, body, url });
    },
  };
}
