// Sends this person's reactions to the server: one request for a message at a time, repeated while it may still
// succeed. The last wish counts, however often it changed while a request was under way.
import { isPassing, toFailure } from './api';
import { backoff } from './backoff';
import type { Environment } from './environment';
import type { Emoji } from './types';

/** A request that found no server is tried this often before the reaction is undone. */
const MAX_TRIES = 5;

export interface ReactionOwner {
  request(messageId: string, emoji: Emoji, isWanted: boolean): Promise<void>;
  /** A request for it is on its way. */
  onAsked(messageId: string): void;
  /** The server has done what was wanted last. */
  onAnswered(messageId: string): void;
  /** The server refused, or was not there. */
  onFailed(messageId: string): void;
}

interface Wanted {
  readonly emoji: Emoji;
  /** False: no reaction (any more). */
  readonly isWanted: boolean;
  /** A request is under way, perhaps for an earlier wish. */
  isBusy: boolean;
  tries: number;
}

export class ReactionRequests {
  /** By message id. */
  readonly #wanted = new Map<string, Wanted>();

  constructor(
    private readonly env: Environment,
    private readonly owner: ReactionOwner,
  ) {}

  get isEmpty(): boolean {
    return this.#wanted.size === 0;
  }

  want(messageId: string, emoji: Emoji, isWanted: boolean): void {
    const isBusy = this.#wanted.get(messageId)?.isBusy ?? false;
    this.#wanted.set(messageId, { emoji, isWanted, isBusy, tries: 0 });
    void this.#ask(messageId);
  }

  /** There is a connection: requests that wait for their next try are sent now. */
  retryNow(): void {
    for (const id of this.#wanted.keys()) void this.#ask(id);
  }

  async #ask(messageId: string): Promise<void> {
    const asked = this.#wanted.get(messageId);
    if (!asked || asked.isBusy) return;
    const { emoji, isWanted } = asked;
    asked.isBusy = true;
    this.owner.onAsked(messageId);
    const failure = await this.owner.request(messageId, emoji, isWanted).then(() => null, toFailure);
    const now = this.#wanted.get(messageId)!;
    now.isBusy = false;
    if (now.emoji !== emoji || now.isWanted !== isWanted) {
      // Changed while the request was on its way.
      void this.#ask(messageId);
    } else if (!failure) {
      this.#wanted.delete(messageId);
      this.owner.onAnswered(messageId);
    } else if (isPassing(failure) && now.tries < MAX_TRIES) {
      now.tries += 1;
      this.env.setTimeout(() => void this.#ask(messageId), backoff(now.tries, 1));
    } else {
      this.#wanted.delete(messageId);
      this.owner.onFailed(messageId);
    }
  }
}
