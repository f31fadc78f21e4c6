// Which tab of an origin sends: a Web Lock that a suspended tab does not keep.
//
// A browser may suspend a background tab (to save memory or battery) while it holds locks, and may even grant it one
// that it waits for. So a waiting tab asks by broadcast whether the holder is alive: one that is answers, also while it
// is busy. Without an answer the waiting tab steals the lock.
//
// A suspended tab that resumes goes on with what it was doing. So the lock covers one message: for the next one it is
// requested again, and the outbox is read again. That one message may be sent by both tabs, which the server
// recognizes.
import type { Environment, Timer } from './environment';

export interface LockNotice {
  /** waiting: asks whether the holder is alive. holding: the holder's answer, that it is. */
  readonly type: 'waiting' | 'holding';
}

/** A tab that is not suspended has answered by then, also while it is busy or in the background. */
const ANSWER_TIMEOUT = 4000;

export class SendLock {
  #isHeld = false;
  /** While this tab waits: called when the holder answers that it is alive. */
  #onAnswer: (() => void) | null = null;

  constructor(
    private readonly env: Environment,
    private readonly name: string,
    /** False: other tabs cannot be reached, so that a missing answer means nothing. */
    private readonly broadcast: (notice: LockNotice) => boolean,
  ) {}

  /** A notice of another tab. */
  onNotice({ type }: LockNotice): void {
    if (type === 'holding') this.#onAnswer?.();
    else if (type === 'waiting' && this.#isHeld) this.broadcast({ type: 'holding' });
  }

  /** Runs `work` when it is this tab's turn; at once where there are no locks. Rejects when `signal` ends the waiting. */
  async hold<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    let running = null as Promise<T> | null;
    const run = (): Promise<T> => {
      this.#isHeld = true;
      running = work().finally(() => {
        this.#isHeld = false;
      });
      return running;
    };
    for (;;) {
      try {
        await this.#request(signal, run);
      } catch (error) {
        if (!running && signal.aborted) throw error;
        // Stolen before the work had begun.
        if (!running && (error as Partial<DOMException>).name === 'AbortError') continue;
        // Stolen while `running` goes on. Or this frame may not use locks, and sends without one.
      }
      return running ?? run();
    }
  }

  async #request(signal: AbortSignal, run: () => Promise<unknown>): Promise<void> {
    const { locks } = this.env;
    if (!locks) return;
    const waiting = new AbortController();
    const end = (): void => waiting.abort();
    let timer: Timer | null = null;
    let isAnswered = false;
    let isSilent = false;
    const ask = (): void => {
      isAnswered = false;
      if (!this.broadcast({ type: 'waiting' })) return;
      timer = this.env.setTimeout(() => {
        if (isAnswered) return ask();
        isSilent = true;
        end();
      }, ANSWER_TIMEOUT);
    };
    const stop = (): void => {
      if (timer !== null) this.env.clearTimeout(timer);
      timer = null;
      this.#onAnswer = null;
    };
    this.#onAnswer = () => {
      isAnswered = true;
    };
    signal.addEventListener('abort', end);
    try {
      const granted = locks.request(this.name, { signal: waiting.signal }, () => {
        stop();
        return run();
      });
      ask();
      await granted;
    } catch (error) {
      if (!isSilent || signal.aborted) throw error;
      await locks.request(this.name, { steal: true }, run);
    } finally {
      stop();
      signal.removeEventListener('abort', end);
    }
  }
}
