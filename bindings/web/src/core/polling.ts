// When to ask by HTTP what has happened: while no socket is trusted to deliver events. A network may block WebSockets,
// a person may have more tabs than the server allows sockets, and a socket may have died unnoticed.
//
// It polls slowly, with jitter; more slowly while the page is hidden, and after each failure; and not at all while
// offline.
import { ChatError } from './api';
import type { Environment, PageEvent, Timer } from './environment';

/** On average, of a page that is looked at: what the other side writes is shown within half a minute. */
const PERIOD = 20_000;
const HIDDEN_PERIOD = 120_000;
const MAX_DOUBLINGS = 3;

export class Polling {
  #timer: Timer | null = null;
  #polledAt = -Infinity;
  #failures = 0;
  /** The least pause that the server asked for, in ms. */
  #retryAfter = 0;
  #isBusy = false;
  #isHidden = false;
  #isOffline = false;
  /** Of the present pause, in [0, 1). */
  #jitter: number;

  constructor(
    private readonly env: Environment,
    /** The time, past or future, from which the socket counts as silent; null: no polling. */
    private readonly silentSince: () => number | null,
    private readonly poll: () => Promise<void>,
  ) {
    this.#jitter = env.random();
  }

  /** Sets the timer anew: `silentSince` has changed. */
  schedule(): void {
    if (this.#timer !== null) this.env.clearTimeout(this.#timer);
    this.#timer = null;
    const due = this.#dueAt();
    if (due !== null) this.#timer = this.env.setTimeout(() => this.#run(), Math.max(0, due - this.env.now()));
  }

  onPageEvent(event: PageEvent): void {
    if (event === 'hidden' || event === 'visible') this.#isHidden = event === 'hidden';
    else if (event === 'offline' || event === 'online') this.#isOffline = event === 'offline';
    else return;
    this.schedule();
  }

  /** The owner has just asked for another reason; the next period begins now. */
  recordPoll(): void {
    this.#polledAt = this.env.now();
    this.#jitter = this.env.random();
    this.schedule();
  }

  #dueAt(): number | null {
    const silentSince = this.silentSince();
    if (silentSince === null || this.#isBusy || this.#isOffline) return null;
    const period = this.#isHidden ? HIDDEN_PERIOD : PERIOD;
    const pause = period * (0.75 + this.#jitter / 2) * 2 ** Math.min(this.#failures, MAX_DOUBLINGS);
    return Math.max(silentSince, this.#polledAt) + Math.max(pause, this.#retryAfter);
  }

  #run(): void {
    const due = this.#dueAt();
    if (due === null || due > this.env.now()) {
      // The socket has been heard meanwhile.
      this.schedule();
      return;
    }
    this.#isBusy = true;
    void this.poll()
      .then(
        () => this.#onOutcome(0, 0),
        (error: unknown) =>
          this.#onOutcome(this.#failures + 1, error instanceof ChatError ? (error.retryAfter ?? 0) : 0),
      );
  }

  #onOutcome(failures: number, retryAfter: number): void {
    this.#isBusy = false;
    this.#failures = failures;
    this.#retryAfter = retryAfter;
    this.recordPoll();
  }
}
