// The native addon, loaded at its first use.

/** @internal */
export interface NativeListener {
  /** The text of an array of events; null when there is none; "!" and the name of the error that ended it. */
  take(): string | null;
  setTyping(isTyping: boolean): void;
  close(): void;
}

/** @internal */
export type Done = (error: string | null, json?: string) => void;
/** @internal */
export type Answer = (error: string | null, value?: unknown) => void;
/** @internal Gives the effects as JSON text. */
export type NativeDecide = (facts: unknown) => string;

/** @internal Names and values by turns, each in a line of its own; texts have a byte in each character. */
export type NativeRequest = [
  method: string,
  target: string,
  headers: string,
  body: Buffer | undefined,
  remoteAddress: string | undefined,
  isSecure: boolean,
];

/** @internal */
export interface NativeEngine {
  invoke(name: string, args: object, done: Done): void;
  subscribe(args: object, wake: () => void, done: (error: string | null, listener: NativeListener) => void): void;
  close(graceMs: number, done: Done): void;
  stats(): string;
  refresh(conversationId: string): void;
  endSession(sessionId: string): void;
  serve(
    options: object,
    ask: (question: number, method: string, json: string, request: number) => void,
    respond: (request: number, status: number, headers: string, body: string) => void,
    forget: (request: number) => void,
  ): void;
  metrics(): string;
  /** Requests and answers are passed on with the next `flush`. */
  handle(number: number, ...request: NativeRequest): void;
  answer(question: number, error: string | null, value?: unknown): void;
  flush(): void;
  adopt(descriptor: number, number: number, ...request: NativeRequest): string | null;
  bridge(number: number, ...request: NativeRequest): number | string;
}

/** @internal */
export interface ErrorRow {
  code: string;
  status: number;
  closeCode: number;
  message: string;
}

/** @internal */
export interface Addon {
  Engine: new (storage: object, options: object) => NativeEngine;
  errors(): ErrorRow[];
  readonly defaultMaxBodyBytes: number;
  /** Whether a request target is the chat's. */
  serves(target: string, basePath: string): boolean;
  foldText(text: string): string;
  /** Keeps the event loop alive; each call is undone by one of `release`. */
  hold(): void;
  release(): void;
  /** Ends everything: the process or the worker exits. */
  end(): void;
}

let loaded: Addon | undefined;

/** @internal */
export function addon(): Addon {
  if (loaded === undefined) {
    loaded = load();
    // A process that exits destroys static C++ objects; no thread may use them any more. A terminated worker gets no
    // 'exit' event; a hook of the addon ends its threads.
    process.once('exit', () => loaded?.end());
  }
  return loaded;
}

function load(): Addon {
  // For those who build the addon themselves.
  const own = process.env['TRAVELCHAT_ADDON'];
  if (own !== undefined && own !== '') return require(own) as Addon;
  const platform = platformName();
  try {
    return require(`travelchat-${platform}`) as Addon;
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    const error: NodeJS.ErrnoException = new Error(
      missing
        ? `travelchat has no prebuilt addon here: the package travelchat-${platform} is not installed. Either there is ` +
          'none for this platform, or the installation left out optional dependencies. Build one with CMake ' +
          '(-DTRAVELCHAT_BUILD_NODE=ON) and name it in TRAVELCHAT_ADDON.'
        : `travelchat cannot load its addon of travelchat-${platform}: ${(cause as Error).message}`,
      { cause },
    );
    error.code = 'ERR_TRAVELCHAT_NO_ADDON';
    throw error;
  }
}

/** @internal What the package with the addon is called after. */
export function platformName(): string {
  const base = `${process.platform}-${process.arch}`;
  if (process.platform !== 'linux') return base;
  // Without this, the report resolves the host name of every open connection, and waits for each.
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  const before = report.excludeNetwork;
  report.excludeNetwork = true;
  try {
    const { header } = report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
    return `${base}-${header.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`;
  } finally {
    report.excludeNetwork = before ?? false;
  }
}
