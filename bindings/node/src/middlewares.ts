import { IncomingMessage, ServerResponse } from 'node:http';
import { Writable } from 'node:stream';

import { ChatError, type ErrorCode } from './errors';
import type { ExpressApplication } from './express_app';
import type { Middleware } from './host';

// The socket of a response that is never sent: it discards what is written.
class DiscardingSocket extends Writable {
  constructor() {
    super({ write: (_chunk, _encoding, done) => done() });
    // A middleware may destroy its response with an error; unhandled, it would end the process.
    this.on('error', ignore);
  }
  /** As sockets have it. */
  setTimeout(): this {
    return this;
  }
}

function ignore(): void {}

// A response that no connection carries: it tells when a middleware begins to answer, and drops what that writes.
class DetachedResponse extends ServerResponse {
  locals?: object;
  onHead: ((status?: number) => void) | undefined;

  // Every way to answer writes the head first.
  override writeHead(...head: [any]): this {
    this.onHead?.(Number(head[0]));
    if (this.socket === null) {
      this.on('error', ignore);
      this.assignSocket(new DiscardingSocket() as never);
      this.on('finish', () => this.socket?.destroy());
    }
    return super.writeHead(...head);
  }
  override destroy(error?: Error): this {
    this.onHead?.();
    return super.destroy(error);
  }
  /** Whether somebody waits for its end, by an event or a function of their own. */
  get isAwaited(): boolean {
    return Object.hasOwn(this, 'writeHead') || Object.hasOwn(this, 'end') || Object.hasOwn(this, 'write') ||
      this.listenerCount('finish') > 0 || this.listenerCount('close') > 0 || this.listenerCount('prefinish') > 0;
  }
}

// The same where there is no Express: with as much of Express's response as its middlewares need to refuse a request.
class PlainResponse extends DetachedResponse {
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

// A request as an application would give it to its middlewares.
interface Request extends IncomingMessage {
  res?: unknown;
  next?: unknown;
  originalUrl?: string;
  baseUrl?: string;
  params?: object;
}

interface Classes {
  Request: new (socket: IncomingMessage['socket']) => Request;
  DetachedResponse: new (request: IncomingMessage) => DetachedResponse;
}
const classes = new WeakMap<ExpressApplication, Classes>();

// Express gives another prototype to every request and response, which makes each of them slow in all of Node's code from
// then on. These are made with it.
function classesOf(application: ExpressApplication): Classes {
  let found = classes.get(application);
  if (found === undefined) {
    found = { Request: class extends IncomingMessage {}, DetachedResponse: class extends DetachedResponse {} };
    Object.setPrototypeOf(found.Request.prototype, application.request);
    // With the functions of `DetachedResponse`, before those of the application.
    const { constructor, ...own } = Object.getOwnPropertyDescriptors(DetachedResponse.prototype);
    Object.defineProperties(found.DetachedResponse.prototype, own);
    Object.setPrototypeOf(found.DetachedResponse.prototype, application.response);
    classes.set(application, found);
  }
  return found;
}

// A request that Express has not seen, as it gives it to middlewares. Its body was read.
function expressRequest(of: IncomingMessage, { Request }: Classes): Request {
  const request = new Request(of.socket);
  request.httpVersionMajor = of.httpVersionMajor;
  request.httpVersionMinor = of.httpVersionMinor;
  request.httpVersion = of.httpVersion;
  request.rawHeaders = of.rawHeaders;
  request.headers = of.headers;
  request.method = of.method as string;
  request.url = request.originalUrl = of.url as string;
  request.baseUrl = '';
  request.params = {};
  request.complete = true;
  request.readable = false;
  // Also the properties that other code has added to the request.
  const from = of as unknown as Record<string, unknown>;
  const to = request as unknown as Record<string, unknown>;
  for (const key of Object.keys(from)) if (!(key in to)) to[key] = from[key];
  to['upgrade'] = from['upgrade'];
  return request;
}

// Statuses of a middleware's answer that mean something else than "not signed in".
const failureCodes = new Map<number | undefined, ErrorCode>([
  [429, 'rate_limited'], [500, 'internal'], [502, 'internal'], [503, 'overloaded'], [504, 'overloaded'],
]);

const cookiesSet = new WeakMap<IncomingMessage, string[]>();

/** @internal The cookies that middlewares have set for the answer to a request. */
export function cookiesFor(request: IncomingMessage): string[] | undefined {
  return cookiesSet.get(request);
}

/**
 * @internal A request on its way through middlewares which its server does not take it through. They get it as their
 * application would give it to them, and a response of their own: the chat's answer is what the protocol says, whatever
 * they answer. Only the cookies that they set go with it, so that a session which is renewed by use stays alive.
 */
export class MiddlewareRun {
  /** What the middlewares see. */
  readonly request: Request;
  readonly #original: IncomingMessage;
  readonly #response: DetachedResponse;
  #isOver = false;

  constructor(original: IncomingMessage, application: ExpressApplication | undefined) {
    this.#original = original;
    this.request = original;
    if (application === undefined) {
      this.#response = new PlainResponse(original);
      return;
    }
    const made = classesOf(application);
    const isNew = !Object.hasOwn(original, 'res');
    if (isNew) this.request = expressRequest(original, made);
    this.#response = new made.DetachedResponse(this.request);
    this.#response.locals = Object.create(null) as object;
    if (isNew) this.request.res = this.#response;
  }

  /**
   * Whether every one of them lets the request pass, by calling `next()` with nothing. Rejects with what one fails with, and
   * with a ChatError when one answers that there are too many requests, or that the application has a problem.
   */
  passes(chain: readonly Middleware[]): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const end = (settle: (how: any) => void, how: unknown) => {
        if (this.#isOver) return;
        this.#isOver = true;
        settle(how);
      };
      this.#response.onHead = (status) => {
        const code = failureCodes.get(status);
        if (code === undefined) end(resolve, false);
        else end(reject, new ChatError(code));
      };
      const step = (index: number) => {
        if (this.#isOver) return;
        const middleware = chain[index];
        if (middleware === undefined) {
          end(resolve, index === chain.length);
          return;
        }
        let wasCalled = false;
        const next = (error?: unknown) => {
          if (wasCalled) return;
          wasCalled = true;
          if (error === undefined || error === null) step(index + 1);
          // The middleware passes on to another route, so it refuses this one.
          else if (error === 'route' || error === 'router') end(resolve, false);
          else end(reject, error);
        };
        if (this.#response.locals !== undefined) this.request.next = next;
        try {
          const done = middleware(this.request, this.#response, next) as PromiseLike<unknown> | undefined | null;
          if (typeof done?.then === 'function') done.then(undefined, (error: unknown) => end(reject, error));
        } catch (error) {
          end(reject, error);
        }
      };
      step(0);
    });
  }

  /** Ends the response: whoever waits for that (a session to be stored, a cookie to be set) does it now. */
  end(): void {
    this.#isOver = true;
    const response = this.#response;
    if (!response.headersSent && response.isAwaited) response.end();
    const cookies = response.getHeader('set-cookie');
    if (cookies !== undefined) cookiesSet.set(this.#original, [cookies].flat().map(String));
  }
}
