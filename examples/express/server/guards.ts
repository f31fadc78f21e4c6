// Requests that the application refuses before any route sees them, and its log of requests.
import type { Server } from 'node:http';

import type { NextFunction, Request, Response } from 'express';

import { fail } from './auth.ts';

/** Refuses requests that a proxy and this server could understand differently. */
export function refuseAmbiguous(request: Request, response: Response, next: NextFunction) {
  const hosts = request.rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === 'host').length;
  const path = (request.url.split('?')[0] as string);
  if (hosts !== 1 || !isPath(path)) fail(response, 400, 'invalid_argument', 'The request is not valid.');
  else next();
}

function isPath(encoded: string): boolean {
  try {
    const path = decodeURIComponent(encoded);
    // eslint-disable-next-line no-control-regex
    return !/[\0-\x1f\x7f]/.test(path) && !path.split('/').includes('..');
  } catch {
    return false;
  }
}

/**
 * A browser adds the cookie also to what somebody else's page sends, and where it does not (SameSite), it still sets or
 * clears the cookie that the answer names: with a cookie or without, only our own pages write.
 */
export function refuseCrossOrigin(request: Request, response: Response, next: NextFunction) {
  const { origin, host, 'sec-fetch-site': site } = request.headers;
  const isOwn = (origin === undefined || (host !== '' && origin.replace(/^https?:\/\//, '') === host)) &&
    (site === undefined || site === 'same-origin' || site === 'none');
  const isRead = ['GET', 'HEAD', 'OPTIONS'].includes(request.method);
  if (isRead || isOwn) next();
  else fail(response, 403, 'cross_origin', 'Requests from other sites are not accepted.');
}

/** A line for each request, without query, credentials or bodies; of those that the application does not see, too. */
export function logRequests(httpServer: Server) {
  httpServer.on('request', ({ method, url = '' }, response) => {
    const started = performance.now();
    const path = url.split('?')[0];
    response.on('finish', () => {
      const ms = Math.round(performance.now() - started);
      console.error(JSON.stringify({ method, path, status: response.statusCode, ms }));
    });
  });
}
