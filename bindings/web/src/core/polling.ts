// When to ask by HTTP what has happened: while no socket is believed to tell it. A network may let no WebSocket through,
// a person may have more tabs than the server has sockets for them, and a socket may have died without a word.
//
// Slowly, with jitter; more slowly where nobody looks, and after each failure; and not at all without a network.
import { ChatError } from './api';
import type { Environment, PageEvent, Timer } from './environment';

/** On average, of a page that is looked at: what the other side writes is shown within half a minute. */
const PERIOD = 20_000;
const HIDDEN_PERIOD = 120_000;
const MAX_DOUBLINGS = 3;

export class Polling {
  #timer: Timer | null = null;
  #askedAt = -Infinity;
  #failures = 0;
  /** What the server asked for. */
  #patience = 0;
  #isBusy = false;
  #isHidden = false;
  #isOffline = false;
  /** Of the present pause, in [0, 1). */
  #chance: number;

  constructor(
    private readonly env: Environment,
    /** Since when no socket is believed, which may be to come; null: there is nothing to ask for. */
    private readonly since: () => number | null,
    private readonly ask: () => Promise<void>,
  ) {
    this.#chance = env.random();
  }

  /** `since` is another one. */
  plan(): void {
    if (this.#timer !== null) this.env.clearTimeout(this.#timer);
    this.#timer = null;
    const due = this.#due();
    if (due !== null) this.#timer = this.env.setTimeout(() => this.#run(), Math.max(0, due - this.env.now()));
  }

  hear(event: PageEvent): void {
    if (event === 'hidden' || event === 'visible') this.#isHidden = event === 'hidden';
    else if (event === 'offline' || event === 'online') this.#isOffline = event === 'offline';
    else return;
    this.plan();
  }

  /** It was asked just now, for another reason. */
  asked(): void {
    this.#askedAt = this.env.now();
    this.#chance = this.env.random();
    this.plan();
  }

  #due(): number | null {
    const since = this.since();
    if (since === null || this.#isBusy || this.#isOffline) return null;
    const period = this.#isHidden ? HIDDEN_PERIOD : PERIOD;
    const pause = period * (0.75 + this.#chance / 2) * 2 ** Math.min(this.#failures, MAX_DOUBLINGS);
    return Math.max(since, this.#askedAt) + Math.max(pause, this.#patience);
  }

  #run(): void {
    const due = this.#due();
    if (due === null || due > this.env.now()) {
      // The socket has been heard meanwhile.
      this.plan();
      return;
    }
    this.#isBusy = true;
    void this.ask()
      .then(
        () => this.#answered(0, 0),
        (error: unknown) =>
          this.#answered(this.#failures + 1, error instanceof ChatError ? (error.retryAfter ?? 0) : 0),
      );
  }

  #answered(failures: number, patience: number): void {
    this.#isBusy = false;
    this.#failures = failures;
    this.#patience = patience;
    this.asked();
  }
}
