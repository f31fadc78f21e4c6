// Gets and keeps the chat grant of a trip's share link.
//
// The grant is kept in sessionStorage: the server lets a hundred chat tokens of a client and trip live, so a page that
// asked for a new one at every reload would in time end those of the client's other devices. Decisions only; the clock,
// the storage, the request and the pause between two tries come from outside.
import { ChatError, fetchChatGrant } from '../core/api';
import type { ChatGrant } from '../core/types';

export interface ShareLinkAddress {
  /** Origin of the server; '' is the page's own. */
  readonly baseUrl: string;
  readonly tripId: string;
  readonly shareToken: string;
}

export interface ShareLinkEnvironment {
  readonly now: () => number;
  readonly random: () => number;
  /** Null where the browser forbids it. */
  readonly storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | null;
  readonly fetchGrant: (address: ShareLinkAddress) => Promise<ChatGrant>;
  /** Whether the server answers at all, be it what this page may not read. */
  readonly isReachable: (baseUrl: string) => Promise<boolean>;
  /** Reports a problem to the page's developer. */
  readonly tell: (problem: string) => void;
  /** Of the page. */
  readonly origin: string;
  /** Resolves after that time, or as soon as another try makes sense, or when aborted. */
  readonly pause: (ms: number, signal: AbortSignal) => Promise<void>;
}

// A token this close to its end would be refused before the first message is written.
const MIN_LIFE_MS = 60_000;
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 60_000;

/** Full jitter: between nothing and twice as long as before, so that the pages of a restarted server do not return at
 * once. */
export function retryPause(failures: number, random: () => number): number {
  return random() * Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1));
}

/** The server refused, and would refuse again. After anything else another try may succeed. */
export function isRefusal(error: unknown): boolean {
  if (!(error instanceof ChatError)) return false;
  const { status } = error;
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}

export class ShareLink {
  readonly address: ShareLinkAddress;
  private readonly environment: ShareLinkEnvironment;
  private readonly key: string;
  private renewing: Promise<ChatGrant> | null = null;
  /** How often in a row no answer could be read. Null once that was reported. */
  private unreadableAnswers: number | null = 0;

  constructor(address: ShareLinkAddress, environment: Partial<ShareLinkEnvironment> = {}) {
    this.address = address;
    this.environment = { ...browser(), ...environment };
    const { baseUrl, tripId, shareToken } = address;
    this.key = `travelchat.grant:${JSON.stringify([baseUrl, tripId, shareToken])}`;
  }

  /** What an earlier page of this tab was granted, while it is good for at least another minute. */
  stored(): ChatGrant | null {
    let grant: unknown;
    try {
      grant = JSON.parse(this.environment.storage?.getItem(this.key) ?? 'null');
    } catch {
      return null;
    }
    if (!isGrant(grant)) return null;
    return Date.parse(grant.expiresAt) - this.environment.now() > MIN_LIFE_MS ? grant : null;
  }

  /** A new grant; the same one for all who ask while it is on its way. Rejects with a ChatError; after a refusal the
   * stored one is gone too. */
  renew(): Promise<ChatGrant> {
    return (this.renewing ??= this.request().finally(() => {
      this.renewing = null;
    }));
  }

  private async request(): Promise<ChatGrant> {
    const { fetchGrant, storage } = this.environment;
    let grant: ChatGrant | undefined;
    try {
      grant = await fetchGrant(this.address);
      // A sign-in page of some network may answer in the server's place.
      if (!isGrant(grant)) throw new ChatError('network', 0, 'The answer is not a chat grant.');
    } catch (error) {
      if (isRefusal(error)) attempt(() => storage?.removeItem(this.key));
      if (grant === undefined && error instanceof ChatError && error.status === 0) void this.reportUnreadable();
      throw error;
    }
    this.unreadableAnswers &&= 0;
    attempt(() => storage?.setItem(this.key, JSON.stringify(grant)));
    return grant;
  }

  // A page cannot tell a server that does not allow its origin from a network that is down. But where the server answers a
  // request whose answer the page may not read (`no-cors`), it is the origin.
  private async reportUnreadable(): Promise<void> {
    const { isReachable, origin, tell } = this.environment;
    const { baseUrl } = this.address;
    if (this.unreadableAnswers === null || !/^https?:/.test(baseUrl) || new URL(baseUrl).origin === origin || ++this.unreadableAnswers < 2) return;
    if (!(await isReachable(baseUrl)) || this.unreadableAnswers === null) return;
    this.unreadableAnswers = null;
    tell(
      `travelchat: ${baseUrl} answers, but not to scripts of ${origin}, so no chat appears here. ` +
        (origin === 'null'
          ? 'This page has no origin that could be allowed: a sandboxed frame needs allow-same-origin.'
          : `It has to allow it: travelchat-server --allowed-origin ${origin}, or allowedOrigins in an application.`),
    );
  }

  /** The stored grant or a new one, however long the network takes. Null: refused, or aborted. */
  async obtain(signal: AbortSignal): Promise<ChatGrant | null> {
    return this.stored() ?? this.retryUntilDone(() => this.renew(), signal);
  }

  /** Tries until it works. Null: refused, or aborted. */
  async retryUntilDone<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T | null> {
    const { pause, random } = this.environment;
    for (let failures = 1; !signal.aborted; ++failures) {
      try {
        return await task();
      } catch (error) {
        if (isRefusal(error)) return null;
        const asked = error instanceof ChatError ? (error.retryAfter ?? 0) : 0;
        await pause(Math.max(asked, retryPause(failures, random)), signal);
      }
    }
    return null;
  }
}

// The storage may be full or forbidden; then every page asks for a grant of its own.
function attempt(write: () => void): void {
  try {
    write();
  } catch {
    return;
  }
}

function isGrant(value: unknown): value is ChatGrant {
  if (typeof value !== 'object' || value === null) return false;
  const grant = value as Record<string, unknown>;
  const required = ['chatToken', 'conversationId', 'clientId', 'orgId', 'expiresAt'];
  return required.every((key) => typeof grant[key] === 'string');
}

function browser(): ShareLinkEnvironment {
  return {
    now: () => Date.now(),
    random: () => Math.random(),
    storage: sessionStorageOrNull(),
    fetchGrant: fetchChatGrant,
    isReachable: (baseUrl) =>
      fetch(`${baseUrl}/livez`, { mode: 'no-cors', credentials: 'omit', cache: 'no-store' }).then(
        () => true,
        () => false,
      ),
    tell: (problem) => console.error(problem),
    // Of a sandboxed frame it is "null", whatever its location's.
    origin: globalThis.origin ?? '',
    pause: pauseUntilOnline,
  };
}

// Reading the property throws in a frame whose storage is blocked.
function sessionStorageOrNull(): Storage | null {
  try {
    return globalThis.sessionStorage ?? null;
  } catch {
    return null;
  }
}

function pauseUntilOnline(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      removeEventListener('online', end);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    addEventListener('online', end);
    signal.addEventListener('abort', end);
  });
}
