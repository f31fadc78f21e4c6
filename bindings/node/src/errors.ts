import { addon, type ErrorRow } from './addon';
import type * as wire from './wire';

/** The names of all errors, as on the wire. */
export type ErrorCode = wire.ErrorCode;

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

  /** `message`: another than the table's, for the application's log; people are told the table's. */
  constructor(code: ErrorCode, options?: ErrorOptions & { message?: string }) {
    const row = rows().get(code);
    if (row === undefined) throw new TypeError(`travelchat knows no error "${String(code)}"`);
    super(options?.message ?? row.message, options);
    this.name = 'ChatError';
    this.code = code;
    this.status = row.status;
    this.closeCode = row.closeCode;
  }
}

// Mistakes of the program that calls the engine. The error says in the addon's words what is wrong; the table's sentence is
// for people, and does not.
const mistakes = new Set<unknown>(['invalid_argument', 'closed']);

/** @internal What the addon throws, in its own words. */
export function asChatError(error: unknown): unknown {
  const code = (error as { code?: unknown } | null)?.code;
  if (error instanceof ChatError || typeof code !== 'string' || !rows().has(code)) return error;
  const { cause } = error as { cause?: unknown };
  if (!(cause instanceof Error)) return new ChatError(code as ErrorCode);
  return new ChatError(code as ErrorCode, mistakes.has(code) ? { cause, message: cause.message } : { cause });
}

/** @internal An operation that was begun has ended with this code. */
export function outcomeError(code: string): ChatError {
  return new ChatError(code as ErrorCode, code === 'closed' ? { message: 'the engine is closed' } : undefined);
}

/** @internal What people are told. */
export function sentenceOf(code: ErrorCode): string {
  return (rows().get(code) as ErrorRow).message;
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

/** @internal Reports a mistake in the application that no caller can be told of. */
export function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : String(error));
}
