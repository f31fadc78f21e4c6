// When to tell the others that this person types: at once, again every 2 s, and its end after 2 s of silence.
//
// The server takes four typing frames a second from a socket, so frames are at least 250 ms apart; several changes in
// between become one frame with the last state.
import type { Environment, Timer } from './environment';

const REFRESH = 2000;
const SILENCE = 2000;
const SPACING = 250;

export class Typing {
  #isTyping = false;
  /** The state that was last sent on this socket. */
  #isTypingSent = false;
  #silenceTimer: Timer | null = null;
  #refreshTimer: Timer | null = null;
  /** Until the next frame may go. */
  #spacingTimer: Timer | null = null;

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
    if (this.#silenceTimer !== null) this.env.clearTimeout(this.#silenceTimer);
    this.#silenceTimer = this.env.setTimeout(() => this.stop(), SILENCE);
    if (this.#isTyping) return;
    this.#isTyping = true;
    this.onChange(true);
    this.#sendState();
  }

  stop(): void {
    if (this.#silenceTimer !== null) this.env.clearTimeout(this.#silenceTimer);
    this.#silenceTimer = null;
    if (!this.#isTyping) return;
    this.#isTyping = false;
    this.onChange(false);
    this.#sendState();
  }

  /** To be called for a new socket: the server has no typing state of it. */
  restart(): void {
    this.#isTypingSent = false;
    this.#sendState();
  }

  #sendState(): void {
    if (this.#spacingTimer !== null || (!this.#isTyping && !this.#isTypingSent)) return;
    if (this.#refreshTimer !== null) this.env.clearTimeout(this.#refreshTimer);
    this.#refreshTimer = null;
    const isSent = this.send(this.#isTyping);
    this.#isTypingSent = isSent && this.#isTyping;
    if (!isSent) return;
    this.#spacingTimer = this.env.setTimeout(() => {
      this.#spacingTimer = null;
      if (this.#isTyping !== this.#isTypingSent) this.#sendState();
    }, SPACING);
    if (this.#isTypingSent) this.#refreshTimer = this.env.setTimeout(() => this.#sendState(), REFRESH);
  }
}
