// An Express application as far as the chat needs one, and a socket to talk to it.
import { once } from 'node:events';

import { WebSocket } from 'ws';

import { travelchat } from './package.mjs';

const { expressHost } = travelchat;

/** What an application has: a session in a cookie, and the functions of its storage; `others` take the place of those. */
export function application(pushed, seen = [], others = {}) {
  return expressHost({
    session: [
      (request, _response, next) => {
        seen.push(request);
        request.session = { user: /session=(\w+)/.exec(request.headers.cookie ?? '')?.[1] };
        next();
      },
    ],
    isAuthenticated(request, response, next) {
      if (request.session.user === undefined) return response.status(401).json({ message: 'Unauthorized' });
      next();
    },
    async orgMiddleware(request, _response, next) {
      request.orgId = 'org-1';
      next();
    },
    advisor: (request) => ({ orgId: request.orgId, id: request.session.user, name: 'Ada' }),
    getTripFullView: async (id) =>
      id === 'lisbon'
        ? {
            trip: { id, orgId: 'org-1', clientId: 'carl', title: 'Lisbon', shareEnabled: true, shareToken: 'share' },
            client: { fullName: 'Carl' },
            advisor: { fullName: 'Ada', avatarUrl: null },
          }
        : undefined,
    getClient: async (id, orgId) => (id === 'carl' && orgId === 'org-1' ? { id, fullName: 'Carl' } : undefined),
    searchClients: async (_orgId, text) => ('Carl'.toLowerCase().includes(text.toLowerCase()) ? ['carl'] : []),
    sendPushToOrg: async (orgId, push) => void pushed.push({ orgId, ...push }),
    ...others,
  });
}

/** A WebSocket whose messages can be awaited, all but `alive`. */
export class Peer {
  #messages = [];
  #waiting = [];
  closed;

  constructor(url, options, protocols) {
    this.socket = new WebSocket(url, protocols, options);
    this.closed = once(this.socket, 'close').then(([code]) => code);
    this.socket.on('error', () => undefined);
    this.socket.on('message', (data) => {
      const event = JSON.parse(data);
      // Told by time, whatever a test waits for.
      if (event.type === 'alive') return;
      const waiting = this.#waiting.shift();
      if (waiting) waiting(event);
      else this.#messages.push(event);
    });
  }

  next() {
    const event = this.#messages.shift();
    return event ? Promise.resolve(event) : new Promise((resolve) => this.#waiting.push(resolve));
  }
  say(message) {
    this.socket.send(JSON.stringify(message));
  }
}
