// Notices a dead socket, which a browser does not report. Every stored message has an event: when that does not come
// within ten seconds after the answer, the socket is dead and is replaced.
import type { Connection } from './connection';
import type { Environment, Timer } from './environment';

const TIMEOUT = 10_000;

export class EchoWatch {
  /** The highest revision in an answer. */
  #storedRev = 0;
  #timer: Timer | null = null;

  constructor(
    private readonly env: Environment,
    private readonly connection: Pick<Connection, 'isOpen' | 'replace'>,
    /** The revision up to which every event has come. */
    private readonly rev: () => number,
  ) {}

  /** An answer says that this is stored. */
  stored(rev: number): void {
    this.#storedRev = Math.max(this.#storedRev, rev);
    this.#await();
  }

  /** The revisions are of another storage than the present one. */
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
