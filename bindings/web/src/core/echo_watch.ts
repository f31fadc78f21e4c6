// A browser does not tell a page that a socket died without a word. But a message that was stored has an event, and where
// that does not come within ten seconds, no other will: the socket is replaced.
import type { Connection } from './connection';
import type { Environment, Timer } from './environment';

const TIMEOUT = 10_000;

export class EchoWatch {
  /** The newest change that an answer told. */
  #storedRev = 0;
  #timer: Timer | null = null;

  constructor(
    private readonly env: Environment,
    private readonly connection: Pick<Connection, 'isOpen' | 'replace'>,
    /** Up to which every event has come. */
    private readonly rev: () => number,
  ) {}

  /** An answer says that this is stored. */
  stored(rev: number): void {
    this.#storedRev = Math.max(this.#storedRev, rev);
    this.#await();
  }

  /** What was stored is of another storage than the present one. */
  forget(): void {
    this.#storedRev = 0;
  }

  #await(): void {
    const rev = this.#storedRev;
    if (!this.connection.isOpen || rev <= this.rev()) return;
    this.#timer ??= this.env.setTimeout(() => {
      this.#timer = null;
      if (this.connection.isOpen && this.rev() < rev) this.connection.replace();
      else this.#await();
    }, TIMEOUT);
  }
}
