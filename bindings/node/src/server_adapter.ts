import type { IncomingMessage } from 'node:http';

import { addon, type NativeEngine, type NativeRequest } from './addon';
import { nativeOf, type ChatEngine } from './engine';
import { callNative, ChatError, codeOf, outcomeError, sentenceOf, warn } from './errors';
import type { ChatHost, RateLimit, ServerOptions } from './host';
import { anyFunction, boolean, check, milliseconds, mustBe, optional, refuseNullish, strings, whole, type Check } from './options';

/** @internal A request that the engine has, and has not answered yet. */
export interface PendingRequest {
  readonly request: IncomingMessage;
  /** `headers`: names and values by turns, each in a line of its own. `body`: a byte in each character. */
  respond(status: number, headers: string, body: string): void;
}

const adapters = new WeakMap<ChatEngine, ServerAdapter>();

const rateLimit: Check = (value, name) =>
  check(value as RateLimit, name, { count: whole(0), windowMs: optional(milliseconds(1)) });

const rateLimits: Check = (value, name) => {
  if (value === false) return;
  check(value as Exclude<ServerOptions['rateLimits'], false | undefined>, name, {
    messages: optional(rateLimit),
    reactions: optional(rateLimit),
    marks: optional(rateLimit),
    pages: optional(rateLimit),
    openings: optional(rateLimit),
    typingFrames: optional(rateLimit),
    chatTokens: optional(rateLimit),
    unknownTokens: optional(rateLimit),
    socketsPerParticipant: optional(whole(0)),
  });
};

const optionChecks: Record<keyof ServerOptions, Check> = {
  // The addon says what is wrong with one.
  basePath: optional((value, name) => mustBe(typeof value === 'string', value, name, 'a string')),
  // As browsers write it; any other spelling would never match.
  allowedOrigins: optional(strings((text) => /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#@*]+$/i.test(text), 'scheme://host[:port]')),
  // The addon says what is wrong with an address.
  trustedProxies: optional(strings((text) => text !== '', 'an address or a network')),
  probes: optional(boolean),
  metrics: optional((value, name) =>
    mustBe(['everyone', 'loopback', 'token', 'nobody'].includes(value as string), value, name,
      "'everyone', 'loopback', 'token' or 'nobody'")),
  // The addon says what is wrong with one; here it would be shown.
  metricsToken: optional((value, name) => {
    if (typeof value !== 'string') throw new TypeError(`${name} must be a string`);
  }),
  maxHeaderBytes: optional(whole(1)),
  maxBodyBytes: optional(whole(0)),
  maxFrameBytes: optional(whole(1)),
  maxFragments: optional(whole(1)),
  maxOutboxBytes: optional(whole(1)),
  maxConnections: optional(whole(1)),
  pingInterval: optional(milliseconds(1)),
  silenceTimeout: optional(milliseconds(1)),
  closeTimeout: optional(milliseconds()),
  hostTimeout: optional(milliseconds()),
  sessionCheckInterval: optional(milliseconds()),
  shareCheckInterval: optional(milliseconds()),
  rateLimits: optional(rateLimits),
  onError: optional(anyFunction),
};

/**
 * @internal Connects Node's HTTP server with the engine's own: hands over the requests and connections that Node has
 * received, and asks the host what the engine wants to know. There is one for each engine, made by the first call of
 * chatRoutes, setupWebSocket or attachChat with the options of that call.
 */
export class ServerAdapter {
  readonly maxBodyBytes: number;
  readonly #basePath: string;
  readonly #applicationPaths: RegExp | undefined;
  readonly #native: NativeEngine;
  readonly #host: ChatHost;
  readonly #onError: (error: unknown) => void;
  // What the engine has not answered yet, by the number under which it knows each request.
  readonly #requests = new Map<number, PendingRequest>();
  #lastNumber = 0;
  #isFlushDue = false;

  static of(engine: ChatEngine, host: ChatHost | undefined, options: ServerOptions | undefined): ServerAdapter {
    const present = adapters.get(engine);
    if (options !== undefined) check(options, 'options', optionChecks);
    if (present === undefined) {
      const adapter = new ServerAdapter(nativeOf(engine), host, options ?? {});
      adapters.set(engine, adapter);
      return adapter;
    }
    if (host !== undefined && host !== present.#host) throw new TypeError('this engine has another host already');
    if (options !== undefined && Object.keys(options).length > 0) {
      throw new TypeError('the options belong to the first call of chatRoutes, setupWebSocket or attachChat');
    }
    return present;
  }

  private constructor(native: NativeEngine, host: ChatHost | undefined, options: ServerOptions) {
    if (host === undefined) {
      throw new TypeError('host is missing: the first call of chatRoutes, setupWebSocket or attachChat names it');
    }
    // Other names are not refused: it may be an instance of a class with further functions.
    mustBe(typeof host === 'object' && host !== null, host, 'host', 'an object');
    for (const name of ['authenticate', 'findTrip', 'findClients'] as const) anyFunction(host[name], `host.${name}`, host);
    for (const name of ['checkSessions', 'searchClients', 'notify'] as const) optional(anyFunction)(host[name], `host.${name}`, host);
    refuseNullish(host, 'host', 'checkSessions');
    const { onError = warn, probes = true, ...rest } = options;
    this.#native = native;
    this.#host = host;
    this.#onError = (error) => {
      try {
        onError(error);
      } catch (failed) {
        // Nothing above this call would catch the error, and the process would end.
        warn(failed);
      }
    };
    this.#basePath = options.basePath ?? '';
    // The probes that the application answers itself.
    if (!probes) this.#applicationPaths = /^\/(livez|readyz|metrics)(\?|$)/;
    else if (options.metrics === 'nobody') this.#applicationPaths = /^\/metrics(\?|$)/;
    this.maxBodyBytes = options.maxBodyBytes ?? addon().defaultMaxBodyBytes;
    callNative(() =>
      native.serve(
        rest,
        (question, method, json, request) => this.#onQuestion(question, method, json, request),
        (number, status, headers, body) => this.#removeRequest(number)?.respond(status, headers, body),
        (number) => this.#requests.delete(number),
      ),
    );
  }

  /** Whether a request is the chat's. */
  serves(request: IncomingMessage): boolean {
    const target = this.#requestTarget(request);
    if (!addon().serves(target, this.#basePath)) return false;
    return this.#applicationPaths?.test(target.slice(this.#basePath.length)) !== true;
  }

  // Express takes the path at which a middleware is mounted out of the URL, and says which it was; Connect keeps the URL that
  // there was.
  #requestTarget(request: IncomingMessage & { baseUrl?: string; originalUrl?: string }): string {
    const { url = '', baseUrl, originalUrl = url } = request;
    if (this.#basePath === '') return url;
    return baseUrl === undefined ? originalUrl : baseUrl + url;
  }

  /** Answers by `pending.respond`. */
  handle(pending: PendingRequest, body: Buffer | undefined): void {
    const number = this.#addRequest(pending);
    try {
      callNative(() => this.#native.handle(number, ...this.#nativeRequest(pending.request, body)));
    } catch (error) {
      // The engine is closed.
      this.#requests.delete(number);
      const { status, body } = refusalOf(error);
      pending.respond(status, 'Content-Type\napplication/json', body);
      return;
    }
    this.#flushSoon();
  }

  /**
   * Takes over a connection that is to become a WebSocket. The descriptor is duplicated. Throws where the engine does not
   * take it: it is closed, or has as many connections as it may.
   */
  adopt(descriptor: number, request: IncomingMessage, head: Buffer): void {
    this.#upgrade(request, (number) => this.#native.adopt(descriptor, number, ...this.#nativeRequest(request, head)));
  }

  /**
   * The same for a connection without a descriptor: gives the descriptor of one end of a socket pair, to which its
   * bytes are piped.
   */
  bridge(request: IncomingMessage, head: Buffer): number {
    return this.#upgrade(request, (number) => this.#native.bridge(number, ...this.#nativeRequest(request, head))) as number;
  }

  #upgrade(request: IncomingMessage, handOver: (number: number) => number | string | null): number | null {
    const number = this.#addRequest({ request, respond: () => undefined });
    try {
      const end = callNative(() => handOver(number));
      if (typeof end === 'string') throw outcomeError(end);
      return end;
    } catch (error) {
      this.#requests.delete(number);
      throw error;
    }
  }

  #nativeRequest(request: IncomingMessage & { ip?: string; secure?: boolean }, body: Buffer | undefined): NativeRequest {
    const { socket } = request;
    return [
      request.method ?? '',
      this.#requestTarget(request),
      // No name and no value has a line feed in it: Node's parser refuses it (RFC 9110 section 5.5).
      request.rawHeaders.join('\n'),
      body,
      // As Express has determined it, where it has handled the request.
      request.ip ?? socket.remoteAddress,
      request.secure ?? 'encrypted' in socket,
    ];
  }

  #addRequest(pending: PendingRequest): number {
    const number = (this.#lastNumber += 1);
    this.#requests.set(number, pending);
    return number;
  }

  #removeRequest(number: number): PendingRequest | undefined {
    const pending = this.#requests.get(number);
    this.#requests.delete(number);
    return pending;
  }

  // All requests of one turn of the event loop go to the engine's threads together, with one wake-up.
  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isFlushDue = false;
    this.#native.flush();
  };

  #onQuestion(question: number, method: string, json: string, number: number): void {
    let answer: unknown;
    try {
      answer = this.#callHost(method, json, this.#requests.get(number)?.request);
    } catch (error) {
      this.#fail(question, error);
      return;
    }
    if (typeof (answer as PromiseLike<unknown> | null | undefined)?.then === 'function') {
      (answer as PromiseLike<unknown>).then(
        (value) => this.#answer(question, value),
        (error: unknown) => this.#fail(question, error),
      );
    } else {
      this.#answer(question, answer);
    }
  }

  #callHost(method: string, json: string, request: IncomingMessage | undefined): unknown {
    const host = this.#host;
    if (method === 'authenticate') {
      if (request === undefined) return null;
      const { cookie = '', authorization = '' } = request.headers;
      return host.authenticate({ cookie, authorization }, request);
    }
    const args = JSON.parse(json);
    switch (method) {
      case 'findTrip':
        return host.findTrip(args.tripId);
      case 'findClients':
        return host.findClients(args.orgId, args.clientIds);
      case 'searchClients':
        return host.searchClients?.(args.orgId, args.text) ?? [];
      case 'checkSessions':
        return host.checkSessions === undefined ? args.sessionIds : host.checkSessions(args.sessionIds);
      default:
        return host.notify?.(args);
    }
  }

  #answer(question: number, value: unknown): void {
    try {
      this.#native.answer(question, null, value);
    } catch (error) {
      // The value is of the wrong type. The addon has answered the question with `internal` by now.
      this.#onError(error);
    }
    this.#flushSoon();
  }

  #fail(question: number, error: unknown): void {
    this.#native.answer(question, codeOf(error, 'internal'));
    this.#flushSoon();
    if (!(error instanceof ChatError)) this.#onError(error);
  }
}

/** @internal The answer to a request that the engine did not take. */
export function refusalOf(error: unknown): { status: number; body: string } {
  const { status, code } = error instanceof ChatError ? error : new ChatError('internal');
  return { status, body: JSON.stringify({ message: sentenceOf(code), code }) };
}
