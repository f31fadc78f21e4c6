import type { IncomingMessage } from 'node:http';

import { addon, type NativeEngine, type NativeRequest } from './addon';
import { nativeOf, type ChatEngine } from './engine';
import { callNative, ChatError, codeOf, warn } from './errors';
import type { ChatHost, ServerOptions } from './host';

/** @internal A request that was handed to the engine. */
export interface Handed {
  readonly request: IncomingMessage;
  /** `headers`: names and values by turns, each in a line of its own. `body`: a byte in each character. */
  respond(status: number, headers: string, body: string): void;
}

const doors = new WeakMap<ChatEngine, Door>();

/**
 * @internal The way into an engine's server: hands over what Node's HTTP server has received, and asks the host. Made by
 * the first who needs it, with its options.
 */
export class Door {
  readonly maxBodyBytes: number;
  readonly #hasProbes: boolean;
  readonly #native: NativeEngine;
  readonly #host: ChatHost;
  readonly #onError: (error: unknown) => void;
  // Those that the engine has, by the numbers that it knows them by.
  readonly #requests = new Map<number, Handed>();
  #lastNumber = 0;
  #isFlushDue = false;

  static of(engine: ChatEngine, host: ChatHost | undefined, options: ServerOptions | undefined): Door {
    const present = doors.get(engine);
    if (present === undefined) {
      const door = new Door(nativeOf(engine), host, options ?? {});
      doors.set(engine, door);
      return door;
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
    for (const name of ['authenticate', 'findTrip', 'findClients'] as const) {
      if (typeof host[name] !== 'function') throw new TypeError(`host.${name} must be a function`);
    }
    const { onError = warn, probes = true, ...rest } = options;
    this.#native = native;
    this.#host = host;
    this.#onError = onError;
    this.#hasProbes = probes;
    this.maxBodyBytes = options.maxBodyBytes ?? 64 * 1024;
    callNative(() =>
      native.serve(
        rest,
        (question, method, json, request) => this.#ask(question, method, json, request),
        (number, status, headers, body) => this.#take(number)?.respond(status, headers, body),
        (number) => this.#requests.delete(number),
      ),
    );
  }

  /** Whether a request target is the chat's. */
  serves(target: string | undefined): boolean {
    return addon().serves(target ?? '') && (this.#hasProbes || !/^\/(livez|readyz|metrics)(\?|$)/.test(target ?? ''));
  }

  /** Answers by `handed.respond`. */
  handle(handed: Handed, body: Buffer | undefined): void {
    const number = this.#keep(handed);
    try {
      callNative(() => this.#native.handle(number, ...fieldsOf(handed.request, body)));
    } catch (error) {
      // The engine is closed.
      this.#requests.delete(number);
      const { status, message, code } = error instanceof ChatError ? error : new ChatError('internal');
      handed.respond(status, 'Content-Type\napplication/json', JSON.stringify({ message, code }));
      return;
    }
    this.#flushSoon();
  }

  /** Takes over a connection that is to become a WebSocket. The descriptor is duplicated. Throws when the engine is closed. */
  adopt(descriptor: number, request: IncomingMessage, head: Buffer): void {
    this.#upgrade(request, (number) => this.#native.adopt(descriptor, number, ...fieldsOf(request, head)));
  }

  /** The same for one that has no descriptor: gives that of the end of a pipe which stands for it, or an error's name. */
  bridge(request: IncomingMessage, head: Buffer): number | string {
    return this.#upgrade(request, (number) => this.#native.bridge(number, ...fieldsOf(request, head)));
  }

  #upgrade<T>(request: IncomingMessage, handOver: (number: number) => T): T {
    const number = this.#keep({ request, respond: () => undefined });
    try {
      return callNative(() => handOver(number));
    } catch (error) {
      this.#requests.delete(number);
      throw error;
    }
  }

  #keep(handed: Handed): number {
    const number = (this.#lastNumber += 1);
    this.#requests.set(number, handed);
    return number;
  }

  #take(number: number): Handed | undefined {
    const handed = this.#requests.get(number);
    this.#requests.delete(number);
    return handed;
  }

  // What a turn of the event loop brings goes to the engine's threads together, with one wake-up.
  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isFlushDue = false;
    this.#native.flush();
  };

  #ask(question: number, method: string, json: string, number: number): void {
    let answer: unknown;
    try {
      answer = this.#question(method, json, this.#requests.get(number)?.request);
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

  #question(method: string, json: string, request: IncomingMessage | undefined): unknown {
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
      default:
        return host.notify?.(args);
    }
  }

  #answer(question: number, value: unknown): void {
    try {
      this.#native.answer(question, null, value);
    } catch (error) {
      // Of the wrong type, and told as `internal` already.
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

function fieldsOf(
  request: IncomingMessage & { ip?: string; secure?: boolean },
  body: Buffer | undefined,
): NativeRequest {
  const { socket } = request;
  return [
    request.method ?? '',
    request.url ?? '',
    // No name and no value has a line feed in it: Node's parser refuses it (RFC 9110 section 5.5).
    request.rawHeaders.join('\n'),
    body,
    // What Express has found out, where it has seen the request.
    request.ip ?? socket.remoteAddress,
    request.secure ?? 'encrypted' in socket,
  ];
}
