// The HTTP requests of the protocol: JSON in and out, refusals as ChatError, one renewal of a refused chat token.
import { parseRetryAfter } from './backoff';
import type { SessionCredential, TokenCredential } from './credential';
import type { Environment } from './environment';
import { browserEnvironment } from './environment';
import type { ChatFailure } from './model';
import type { ChatGrant } from './types';

// Long enough for a page of messages over a slow network.
const TIMEOUT = 20_000;

/** `code` is the wire's (docs/protocol.md, "Errors"), or `network` with status 0 when there was no answer, or none
 * that a chat server gives. `retryAfter` is in milliseconds. */
export class ChatError extends Error implements ChatFailure {
  override readonly name = 'ChatError';

  constructor(
    readonly code: string,
    readonly status: number,
    message: string,
    readonly retryAfter: number | null = null,
  ) {
    super(message);
  }
}

/** The error as plain data for a snapshot. */
export const toFailure = (error: unknown): ChatFailure =>
  error instanceof ChatError
    ? { code: error.code, status: error.status, message: error.message }
    : { code: 'network', status: 0, message: String(error) };

/** Whether the same request may succeed later as it is. */
export const isPassing = ({ status }: ChatFailure): boolean =>
  status === 0 || [401, 408, 425, 429, 502, 503, 504].includes(status);

/** Whether the chat itself answered. An error page, or JSON of another kind, comes from a proxy in between, and says only
 * that the chat cannot be reached now. */
function isChatRefusal(data: unknown): data is { readonly code: string; readonly message?: unknown } {
  const code = (data as { readonly code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && /^[a-z][a-z0-9_]*$/.test(code);
}

export interface Answer {
  readonly data: unknown;
  /** There is another page. */
  readonly hasMore: boolean;
  /** Of the storage that it was read from; null where the server tells none. */
  readonly epoch: string | null;
}

async function exchange(env: Environment, url: string, init: RequestInit): Promise<Answer> {
  const abort = new AbortController();
  const timer = env.setTimeout(() => abort.abort(), TIMEOUT);
  try {
    const response = await env.fetch(url, { ...init, signal: abort.signal, cache: 'no-store' });
    const text = await response.text();
    const { ok, status, headers } = response;
    let data: unknown;
    try {
      data = JSON.parse(text);
    } catch {
      // Not JSON: the sign-in page of a hotel's network, with status 200, or a proxy's page while the server restarts.
    }
    if (ok && data !== undefined) {
      // A list that has a next page names it by a cursor.
      const hasMore = headers.get('x-has-more') === 'true' || headers.has('x-next-cursor');
      return { data, hasMore, epoch: headers.get('x-epoch') };
    }
    const retryAfter = parseRetryAfter(headers.get('retry-after'), env.now());
    if (!ok && isChatRefusal(data)) {
      const { code, message } = data;
      throw new ChatError(code, status, typeof message === 'string' ? message : `Refused with ${status}.`, retryAfter);
    }
    throw new ChatError('network', 0, `An answer ${status} that is not the chat's.`, retryAfter);
  } catch (error) {
    throw error instanceof ChatError ? error : new ChatError('network', 0, 'The server could not be reached.');
  } finally {
    env.clearTimeout(timer);
  }
}

export class Api {
  /** Null for a session, which the browser attaches by itself. */
  token: string | null;
  #renewing: Promise<void> | null = null;
  #isExpired = false;

  constructor(
    private readonly env: Environment,
    readonly baseUrl: string,
    private readonly credential: SessionCredential | TokenCredential,
  ) {
    this.token = credential.kind === 'chatToken' ? credential.token : null;
  }

  /** `path` is an advisor's; a client's credential gets to its own routes. Throws a ChatError. */
  async request(method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<Answer> {
    const { token } = this;
    try {
      const answer = await exchange(this.env, this.#url(method, path), this.#init(method, token, body));
      this.#isExpired = false;
      return answer;
    } catch (error) {
      if (!(error instanceof ChatError) || error.status !== 401) throw error;
      if (token === null) {
        this.expire();
        throw error;
      }
      await this.renew(token);
      return exchange(this.env, this.#url(method, path), this.#init(method, this.token, body));
    }
  }

  /** A new token in place of `refused`; at once when there is one already. Throws what the host's `renew` throws. */
  renew(refused: string | null): Promise<void> {
    const { credential } = this;
    if (credential.kind !== 'chatToken' || this.token !== refused) return Promise.resolve();
    this.#renewing ??= Promise.resolve()
      .then(() => credential.renew())
      .then((token) => {
        this.token = token;
      })
      .finally(() => {
        this.#renewing = null;
      });
    return this.#renewing;
  }

  /** Reports that the session is over, once until it works again. */
  expire(): void {
    const { credential } = this;
    if (credential.kind !== 'session' || this.#isExpired) return;
    this.#isExpired = true;
    queueMicrotask(() => credential.onExpired?.());
  }

  #url(method: string, path: string): string {
    return this.baseUrl + path + (this.token !== null && method !== 'GET' ? '/client' : '');
  }

  #init(method: string, token: string | null, body: object | undefined): RequestInit {
    const headers: Record<string, string> = {};
    const init: RequestInit = { method, headers };
    if (method === 'GET') {
      if (token !== null) headers.Authorization = `Bearer ${token}`;
    } else {
      headers['Content-Type'] = 'application/json';
      init.body = JSON.stringify(token === null ? (body ?? {}) : { ...body, chatToken: token });
    }
    // A host on another origin that signs advisors in by cookie allows credentials; a chat token needs no cookie there.
    init.credentials = token === null && this.baseUrl !== '' ? 'include' : 'same-origin';
    return init;
  }
}

/** What the share link of a trip gives. Throws a ChatError. The secret of the link is sent in the body, because URLs
 *  are kept in the logs of proxies and servers. */
export async function fetchChatGrant(options: {
  readonly baseUrl?: string;
  readonly tripId: string;
  readonly shareToken: string;
}): Promise<ChatGrant> {
  const { baseUrl = '', tripId, shareToken } = options;
  const init: RequestInit = {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ tripId, shareToken }),
    credentials: 'same-origin',
  };
  const { data } = await exchange(browserEnvironment(), `${baseUrl}/api/chat-token`, init);
  const grant = data as Partial<ChatGrant>;
  if (typeof grant?.chatToken !== 'string') throw new ChatError('network', 0, 'The answer is no chat grant.');
  return grant as ChatGrant;
}
