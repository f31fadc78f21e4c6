// Which tab of an origin sends: a Web Lock that a suspended tab does not keep.
//
// A browser stops a tab in the background (to save memory, or a phone's battery) together with the locks that it holds,
// and even grants it one that it waits for. So a tab that waits asks whether there is anybody: a holder that lives says so,
// however long it has to do. Where nobody answers the lock is taken away from whoever has it.
//
// The one that wakes up goes on with what it was doing. So a lock is for one message: for the next one it is asked for
// again, and the outbox is read again. The message itself may then be sent by both, which the server recognizes.
import type { Environment, Timer } from './environment';

export interface LockNotice {
  /** waiting: asks whether the holder is alive. holding: the holder's answer, that it is. */
  readonly type: 'waiting' | 'holding';
}

/** A tab that is not suspended has answered by then, also while it is busy or in the background. */
const ANSWER_TIMEOUT = 4000;

export class SendLock {
  #isHeld = false;
  /** While it waits: somebody holds the lock, and lives. */
  #onAnswer: (() => void) | null = null;

  constructor(
    private readonly env: Environment,
    private readonly name: string,
    /** False: there is no way to the other tabs, so that their silence says nothing. */
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
        // Taken away before it had begun.
        if (!running && (error as Partial<DOMException>).name === 'AbortError') continue;
        // Taken away, which `running` does not know. Or this frame has no right to use locks, and sends as if it were alone.
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
