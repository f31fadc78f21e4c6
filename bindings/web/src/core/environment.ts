// Everything that the core takes from the outside: time, randomness, network, storage, other tabs. Tests hand in their own.
//
// Importing has no effect and needs no browser. What an environment does not have is null and is not used: IndexedDB in
// private windows, Web Locks and BroadcastChannel on pages without https, a document on servers.

export type PageEvent = 'online' | 'offline' | 'visible' | 'hidden' | 'focus' | 'restored';

/** The part of `WebSocket` that is used; Node's `ws` has it too. */
export interface Socket {
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string): void;
  close(code?: number, reason?: string): void;
}

export type Timer = ReturnType<typeof setTimeout>;

/** Browsers store a timer's delay in 32 bits, and run one with a longer delay at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

export interface Environment {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly setTimeout: (run: () => void, ms: number) => Timer;
  readonly clearTimeout: (timer: Timer) => void;
  /** In [0, 1). */
  readonly random: () => number;
  /** A new `clientMessageId`: 1 to 64 characters of A-Z a-z 0-9 _ -, never the same twice. */
  readonly newId: () => string;
  readonly fetch: typeof fetch;
  readonly webSocket: (url: string, protocols: string[]) => Socket;
  readonly indexedDB: IDBFactory | null;
  readonly locks: Pick<LockManager, 'request'> | null;
  readonly openChannel: (name: string) => BroadcastChannel | null;
  readonly localStorage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'> | null;
  /** Of the page: what an empty `baseUrl` stands for. */
  readonly origin: string;
  /** What happens to the page. `restored`: it came back from the back/forward cache. Returns the end of it. */
  readonly onPageEvent: (listener: (event: PageEvent) => void) => () => void;
}

// Reading the property itself may throw: a sandboxed frame has no right to storage, an old browser has no channels.
function attempt<T>(read: () => T | undefined): T | null {
  try {
    return read() ?? null;
  } catch {
    return null;
  }
}

// crypto.randomUUID would need a page with https.
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function onPageEvent(listener: (event: PageEvent) => void): () => void {
  if (typeof window === 'undefined' || typeof document === 'undefined') return () => {};
  const end = new AbortController();
  const { signal } = end;
  for (const event of ['online', 'offline', 'focus'] as const) {
    window.addEventListener(event, () => listener(event), { signal });
  }
  window.addEventListener('pageshow', (event) => event.persisted && listener('restored'), { signal });
  document.addEventListener('visibilitychange', () => listener(document.hidden ? 'hidden' : 'visible'), { signal });
  return () => end.abort();
}

export function browserEnvironment(overrides: Partial<Environment> = {}): Environment {
  return {
    now: () => Date.now(),
    setTimeout: (run, ms) => setTimeout(run, Math.min(ms, LONGEST_TIMER)),
    clearTimeout: (timer) => clearTimeout(timer),
    random: () => Math.random(),
    newId,
    fetch: (input, init) => fetch(input, init),
    webSocket: (url, protocols) => new WebSocket(url, protocols),
    indexedDB: attempt(() => globalThis.indexedDB),
    locks: attempt(() => globalThis.navigator?.locks),
    openChannel: (name) => attempt(() => new BroadcastChannel(name)),
    // Node has a localStorage of its own in later versions, which is no page's.
    localStorage: attempt(() => (typeof window === 'undefined' ? undefined : window.localStorage)),
    // globalThis.origin rather than location.origin: in a sandboxed frame it is "null", and in a `srcdoc` frame that of
    // the page around it.
    origin: attempt(() => globalThis.origin) ?? '',
    onPageEvent,
    ...overrides,
  };
}
