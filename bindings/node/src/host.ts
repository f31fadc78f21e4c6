import type { IncomingMessage } from 'node:http';

import type { MaybePromise } from './types';
import type { ActiveTrip } from './wire';

/** Who is signed in. */
export interface Advisor {
  /** Text, as all ids: 1 to 128 printable ASCII characters. An application whose own are numbers gives `String(id)`. */
  orgId: string;
  id: string;
  name?: string;
  /** Here and below: an http or https URL, a path of the server with one leading slash, or `data:image/…`. */
  avatarUrl?: string | null;
  /** Open sockets are closed then with 4401. */
  expiresAt?: Date | number | string | null;
  /** False: the credential is not one that a browser adds by itself. Then writes from other origins are allowed. */
  byCookie?: boolean;
  /**
   * Names the session, so that its end reaches open sockets: by `engine.endSession`, and by `checkSessions`. Not the
   * credential itself if that is a secret; no other session ever has the same.
   */
  sessionId?: string | null;
}

/** What a list of conversations shows of a client. */
export interface ClientCard {
  id: string;
  name: string;
  avatarUrl?: string | null;
  activeTrip?: ActiveTrip;
}

/** A trip, and how it is shared. */
export interface SharedTrip {
  id: string;
  orgId: string;
  clientId?: string | null;
  title?: string;
  shareEnabled: boolean;
  shareToken: string | null;
  clientName?: string | null;
  advisorName?: string | null;
  advisorAvatarUrl?: string | null;
}

/** What the organization's advisors are told when a client has written. */
export interface PushNotification {
  orgId: string;
  title: string;
  body: string;
  url: string;
}

/** The credentials of a request, as they came. Never log them. */
export interface Credentials {
  cookie: string;
  authorization: string;
}

/**
 * What the chat asks of the application. Each function may answer at once or with a promise; what throws a `ChatError`
 * is answered with its code, anything else with 500.
 */
export interface ChatHost {
  /** Nothing: not signed in. `request` is the one that the credentials came with. */
  authenticate(credentials: Credentials, request: IncomingMessage): MaybePromise<Advisor | null | undefined>;
  /**
   * Asked when a chat token is wanted, and again every `shareCheckInterval` while tokens of the trip are in use: they end
   * with the link that they were issued for. What it throws ends nothing.
   */
  findTrip(tripId: string): MaybePromise<SharedTrip | null | undefined>;
  /** Those of `clientIds` that belong to the organization. */
  findClients(orgId: string, clientIds: string[]): MaybePromise<ClientCard[]>;
  /**
   * The ids of clients whose name contains `text`, without regard to case (see `foldText`). Left out: only messages are
   * searched.
   */
  searchClients?(orgId: string, text: string): MaybePromise<string[]>;
  /**
   * Those of `sessionIds` that have not ended; the sockets of the others are closed with 4401. Asked every
   * `sessionCheckInterval` about the sessions of open sockets, all at once. What it throws ends nothing. Left out: sessions
   * end by `engine.endSession` alone.
   */
  checkSessions?(sessionIds: string[]): MaybePromise<string[]>;
  /** A client wrote; nobody waits for the outcome. */
  notify?(notification: PushNotification): MaybePromise<void>;
}

/** How often something may happen within a window. */
export interface RateLimit {
  /** 0: no limit. */
  count: number;
  windowMs?: number;
}

/** What `chatRoutes`, `setupWebSocket` and `attachChat` have in common; docs/library.md has the defaults. */
export interface ServerOptions {
  /**
   * A prefix of all of the chat's own paths, probes and sockets included, like '/chat': a client's base URL ends with it.
   * Clients' whole paths count: also where the middleware is mounted at a path, `app.use('/chat', chatRoutes(…))`, which
   * alone would not move the sockets. Left out: none; a middleware that is mounted is not told where.
   */
  basePath?: string;
  /** Origins that may open sockets and write with a cookie, besides the server's own. */
  allowedOrigins?: string[];
  /**
   * Proxies in front of the application, as addresses or networks ("10.0.0.0/8"): what they say in X-Forwarded-For counts
   * as a request's address, for limits, and in X-Forwarded-Proto as its scheme. `chatRoutes` takes what Express has found
   * out (`trust proxy`).
   */
  trustedProxies?: string[];
  /** False: `/livez`, `/readyz` and `/metrics` are the application's. */
  probes?: boolean;
  /**
   * Who is answered by `/metrics`: 'everyone', when left out; 'loopback', who asks from this machine itself and through no
   * proxy; 'token', who brings `metricsToken` as a Bearer credential; 'nobody', which leaves the path to the application.
   */
  metrics?: 'everyone' | 'loopback' | 'token' | 'nobody';
  /** At least 16 letters, digits or any of -._~+/=, for `metrics: 'token'`. */
  metricsToken?: string;
  maxHeaderBytes?: number;
  maxBodyBytes?: number;
  maxFrameBytes?: number;
  maxFragments?: number;
  maxOutboxBytes?: number;
  maxConnections?: number;
  /** Milliseconds, as all times here. */
  pingInterval?: number;
  silenceTimeout?: number;
  closeTimeout?: number;
  /** For each answer of the host's functions; then the request is answered 503, a socket closed with 1013. 0: for ever. */
  hostTimeout?: number;
  /** How often `checkSessions` is asked; 2,000 when left out, 0: never. */
  sessionCheckInterval?: number;
  /** How long a trip counts as shared before `findTrip` is asked again; 20,000 when left out, 0: it is not asked again. */
  shareCheckInterval?: number;
  /** False: none. */
  rateLimits?:
    | false
    | {
        messages?: RateLimit;
        reactions?: RateLimit;
        /** "Read" and "seen", by request and by frame. */
        marks?: RateLimit;
        /** Pages of messages, lists and counts. */
        pages?: RateLimit;
        /** Conversations and sockets opened. */
        openings?: RateLimit;
        typingFrames?: RateLimit;
        chatTokens?: RateLimit;
        /** Chat tokens that nobody knows, for each remote address. */
        unknownTokens?: RateLimit;
        socketsPerParticipant?: number;
      };
  /** Told what the host's functions have thrown. Left out: it becomes a process warning. */
  onError?: (error: unknown) => void;
}

/** An Express middleware; also of any framework that calls them in the same way. */
export type Middleware = (request: any, response: any, next: (error?: unknown) => void) => unknown;
