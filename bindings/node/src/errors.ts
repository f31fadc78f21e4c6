import { addon, type ErrorRow } from './addon';

/** The names of all errors, as on the wire. */
export type ErrorCode =
  | 'invalid_argument'
  | 'missing_field'
  | 'malformed_json'
  | 'invalid_content'
  | 'invalid_emoji'
  | 'invalid_client_message_id'
  | 'trip_without_client'
  | 'unauthenticated'
  | 'forbidden'
  | 'cross_origin'
  | 'sharing_disabled'
  | 'not_found'
  | 'method_not_allowed'
  | 'request_timeout'
  | 'idempotency_conflict'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'rate_limited'
  | 'headers_too_large'
  | 'too_slow'
  | 'storage_failed'
  | 'storage_full'
  | 'storage_locked'
  | 'storage_incompatible'
  | 'overloaded'
  | 'closed'
  | 'internal';

/** One row of the table of errors. */
export interface ErrorInfo {
  readonly code: ErrorCode;
  /** The HTTP status that answers it. */
  readonly status: number;
  /** The code that closes a WebSocket for it. */
  readonly closeCode: number;
  /** For people. */
  readonly message: string;
}

let table: Map<string, ErrorRow> | undefined;

function rows(): Map<string, ErrorRow> {
  table ??= new Map(addon().errors().map((row) => [row.code, row]));
  return table;
}

/** The engine's one table of errors: every code with its HTTP status, close code and sentence. */
export function errorTable(): readonly ErrorInfo[] {
  return [...rows().values()] as ErrorInfo[];
}

/**
 * What the engine refuses or fails at. A storage or a host of one's own throws it too, to answer with a certain code;
 * whatever else it throws counts as `storage_failed` or `internal`.
 */
export class ChatError extends Error {
  /** For programs, as on the wire. */
  readonly code: ErrorCode;
  /** The HTTP status that answers it. */
  readonly status: number;
  /** The code that closes a WebSocket for it. */
  readonly closeCode: number;

  constructor(code: ErrorCode, options?: ErrorOptions) {
    const row = rows().get(code);
    if (row === undefined) throw new TypeError(`travelchat knows no error "${String(code)}"`);
    super(row.message, options);
    this.name = 'ChatError';
    this.code = code;
    this.status = row.status;
    this.closeCode = row.closeCode;
  }
}

/** @internal What the addon throws, in its own words. */
export function asChatError(error: unknown): unknown {
  const code = (error as { code?: unknown } | null)?.code;
  if (error instanceof ChatError || typeof code !== 'string' || !rows().has(code)) return error;
  const { cause } = error as { cause?: unknown };
  return new ChatError(code as ErrorCode, cause === undefined ? undefined : { cause });
}

/** @internal */
export function callNative<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw asChatError(error);
  }
}

/** @internal The code to answer with for what a callback of the application's has thrown. */
export function codeOf(error: unknown, otherwise: ErrorCode): ErrorCode {
  return error instanceof ChatError ? error.code : otherwise;
}

/** @internal A mistake in the application, which whoever called the engine is not told of. */
export function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}
