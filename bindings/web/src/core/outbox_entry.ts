import type { ChatFailure } from './model';

/** A message that was written and is not known to be stored. */
export interface OutboxEntry {
  /** Of sending: given by the store, larger for what came later; 0 until it is kept. */
  readonly order: number;
  /** Whose outbox. */
  readonly scope: string;
  /** The `clientMessageId`. */
  readonly key: string;
  readonly content: string;
  readonly createdAt: string;
  readonly failure: ChatFailure | null;
}
