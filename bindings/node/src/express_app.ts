import type { IncomingMessage } from 'node:http';

/** @internal An Express application, as far as it says what its requests and responses inherit from. */
export interface ExpressApplication {
  readonly request: object;
  readonly response: object;
}

/** @internal */
export function isExpressApplication(value: unknown): value is ExpressApplication {
  if (typeof value !== 'function') return false;
  const { request, response } = value as Partial<ExpressApplication>;
  return typeof request === 'object' && request !== null && typeof response === 'object' && response !== null;
}

// For each listener that has replaced a server's other request listeners and calls them itself: those others.
const wrappedListeners = new WeakMap<object, readonly unknown[]>();

/** @internal Says that `listener` calls `others`, which are no listeners of the server any more. */
export function setWrappedListeners(others: readonly unknown[], listener: object): void {
  wrappedListeners.set(listener, others);
}

/**
 * @internal The application of a request: the one that has handled it, else the one that is named, else the one that
 * listens to its server.
 */
export function applicationOf(request: IncomingMessage, named?: ExpressApplication): ExpressApplication | undefined {
  const { app } = request as IncomingMessage & { app?: unknown };
  if (isExpressApplication(app)) return app;
  if (named !== undefined) return named;
  // Set by Node's HTTP and HTTPS servers.
  const server = (request.socket as { server?: Partial<NodeJS.EventEmitter> } | null)?.server;
  if (typeof server?.listeners !== 'function') return undefined;
  const listeners: unknown[] = server.listeners('request');
  for (let i = 0; i < listeners.length; ++i) {
    const listener = listeners[i] as object;
    if (isExpressApplication(listener)) return listener;
    listeners.push(...(wrappedListeners.get(listener) ?? []));
  }
  return undefined;
}
