import type { IncomingMessage } from 'node:http';

import type { MaybePromise } from './types';

/** Who is signed in. */
export interface Advisor {
  orgId: string;
  id: string;
  name?: string;
  avatarUrl?: string | null;
  /** Open sockets are closed then with 4401. */
  expiresAt?: Date | number | string | null;
  /** False: the credential was none that a browser adds by itself. Then writes from other origins are let through. */
  byCookie?: boolean;
}

/** What a list of conversations shows of a client. */
export interface ClientCard {
  id: string;
  name: string;
  avatarUrl?: string | null;
  activeTrip?: { id: string; title: string } | null;
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
  findTrip(tripId: string): MaybePromise<SharedTrip | null | undefined>;
  /** Those of `clientIds` that belong to the organization. */
  findClients(orgId: string, clientIds: string[]): MaybePromise<ClientCard[]>;
  /** The ids of clients whose name contains `text`, without regard to case. Left out: only messages are searched. */
  searchClients?(orgId: string, text: string): MaybePromise<string[]>;
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
  /** Origins that may open sockets and write with a cookie, besides the server's own. */
  allowedOrigins?: string[];
  /**
   * Proxies in front of the application, as addresses or networks ("10.0.0.0/8"): what they say in X-Forwarded-For counts
   * as a request's address, for limits. `chatRoutes` takes what Express has found out (`trust proxy`).
   */
  trustedProxies?: string[];
  /** False: `/livez`, `/readyz` and `/metrics` are the application's. */
  probes?: boolean;
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
  /** False: none. */
  rateLimits?:
    | false
    | { messages?: RateLimit; typingFrames?: RateLimit; chatTokens?: RateLimit; socketsPerParticipant?: number };
  /** Told what the host's functions have thrown. Left out: it becomes a process warning. */
  onError?: (error: unknown) => void;
}

/** An Express middleware; also of any framework that calls them in the same way. */
export type Middleware = (request: any, response: any, next: (error?: unknown) => void) => unknown;
