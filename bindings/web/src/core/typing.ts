// When to tell the others that this person types: at once, again every 2 s, and its end after 2 s of silence.
//
// The server takes four typing frames a second from a socket, so frames keep 250 ms apart; what changed twice in
// between is told once, as it is then.
import type { Environment, Timer } from './environment';

const REFRESH = 2000;
const SILENCE = 2000;
const SPACING = 250;

export class Typing {
  #isTyping = false;
  /** What the server knows of this socket. */
  #told = false;
  #silence: Timer | null = null;
  #refresh: Timer | null = null;
  /** Until the next frame may go. */
  #rest: Timer | null = null;

  constructor(
    private readonly env: Environment,
    /** False when there is no socket. */
    private readonly send: (isTyping: boolean) => boolean,
    private readonly onChange: (isTyping: boolean) => void,
  ) {}

  get isTyping(): boolean {
    return this.#isTyping;
  }

  typed(): void {
    if (this.#silence !== null) this.env.clearTimeout(this.#silence);
    this.#silence = this.env.setTimeout(() => this.stop(), SILENCE);
    if (this.#isTyping) return;
    this.#isTyping = true;
    this.onChange(true);
    this.#tell();
  }

  stop(): void {
    if (this.#silence !== null) this.env.clearTimeout(this.#silence);
    this.#silence = null;
    if (!this.#isTyping) return;
    this.#isTyping = false;
    this.onChange(false);
    this.#tell();
  }

  /** A new socket: the server knows nothing of it. */
  restart(): void {
    this.#told = false;
    this.#tell();
  }

  #tell(): void {
    if (this.#rest !== null || (!this.#isTyping && !this.#told)) return;
    if (this.#refresh !== null) this.env.clearTimeout(this.#refresh);
    this.#refresh = null;
    const isSent = this.send(this.#isTyping);
    this.#told = isSent && this.#isTyping;
    if (!isSent) return;
    this.#rest = this.env.setTimeout(() => {
      this.#rest = null;
      if (this.#isTyping !== this.#told) this.#tell();
    }, SPACING);
    if (this.#told) this.#refresh = this.env.setTimeout(() => this.#tell(), REFRESH);
  }
}
