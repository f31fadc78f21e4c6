// A socket that reconnects: carries out what connection_machine.ts decides, with the environment's sockets and timers.
import { ChatError } from './api';
import type { StepContext, ConnectionEffect, ConnectionInput, ConnectionState } from './connection_machine';
import { closeCodeOf, initialConnection, stepConnection, silentSince } from './connection_machine';
import type { Environment, PageEvent, Socket, Timer } from './environment';
import type { ChatEvent, ClientFrame, InboxEvent } from './events';
import { encodeFrame, parseServerEvent } from './events';
import type { ConnectionStatus } from './model';
import { Polling } from './polling';

/** The part of `Api` that opening a socket needs. */
export interface Credential {
  /** Null for a session. */
  readonly token: string | null;
  renew(refused: string | null): Promise<void>;
  expire(): void;
}

export interface ConnectionOwner {
  /** What must be there before the socket is opened. */
  prepare(): Promise<void>;
  /** Of a new socket, which is about to be made. */
  url(): string;
  /** The handshake is done; the server may still refuse it by a close code. `number` is for `ready` and `fail`. */
  onJoined?(number: number): void;
  onEvent(event: ChatEvent | InboxEvent): void;
  /** Asks by HTTP what has happened, and applies it. Resolves to whether there was anything new that no socket has
   *  told. */
  poll(): Promise<boolean>;
  /** The status changed. */
  onStatus(status: ConnectionStatus): void;
}

const OPEN = 1;
const PROTOCOL = 'travelchat.v1';

const codeOf = (error: unknown): number => closeCodeOf(error instanceof ChatError ? error.status : 0);

export class Connection {
  #state: ConnectionState = initialConnection;
  #status: ConnectionStatus = { phase: 'idle', attempt: 0, downSince: null, reason: null };
  #socket: Socket | null = null;
  #timer: Timer | null = null;
  #endPageEvents: (() => void) | null = null;
  /** With which the last socket was opened. */
  #token: string | null = null;
  readonly #polling: Polling;

  constructor(
    private readonly env: Environment,
    private readonly credential: Credential,
    private readonly owner: ConnectionOwner,
  ) {
    this.#polling = new Polling(
      env,
      () => silentSince(this.#state),
      () => this.#poll(),
    );
  }

  get status(): ConnectionStatus {
    return this.#status;
  }

  get isOpen(): boolean {
    return this.#state.phase === 'open';
  }

  start(): void {
    this.#endPageEvents ??= this.env.onPageEvent((type) => this.#onPageEvent(type));
    this.#step({ type: 'start' });
  }

  stop(): void {
    this.#endPageEvents?.();
    this.#endPageEvents = null;
    this.#step({ type: 'stop' });
  }

  reconnect(): void {
    this.#step({ type: 'reconnect' });
  }

  /** An event is missing, or the socket may be dead: a new one resumes in its place. */
  replace(): void {
    this.#step({ type: 'replace' });
  }

  /** Nothing is missing: the socket is open. */
  ready(number = this.#state.try): void {
    this.#step({ type: 'ready', try: number });
  }

  /** Something that is needed before the socket counts as open could not be loaded. */
  fail(number: number, error: unknown): void {
    this.#step({ type: 'closed', try: number, code: codeOf(error) });
  }

  /** The owner has just asked by HTTP, for another reason. */
  polled(): void {
    this.#polling.recordPoll();
  }

  /** False, and nothing sent, unless the socket is open. */
  send(frame: ClientFrame): boolean {
    if (!this.isOpen || this.#socket?.readyState !== OPEN) return false;
    this.#socket.send(encodeFrame(frame));
    return true;
  }

  #onPageEvent(type: PageEvent): void {
    this.#step({ type });
    this.#polling.onPageEvent(type);
  }

  async #poll(): Promise<void> {
    const { try: number, heardAt } = this.#state;
    const isNews = await this.owner.poll();
    // The poll found news, and the socket, which should have told them, is still silent: it is dead.
    if (isNews && this.isOpen && this.#state.try === number && this.#state.heardAt === heardAt) this.replace();
  }

  #step(input: ConnectionInput): void {
    const at: StepContext = {
      now: this.env.now(),
      random: this.env.random(),
      canRenew: this.credential.token !== null,
    };
    const [state, effects] = stepConnection(this.#state, input, at);
    this.#state = state;
    for (const effect of effects) this.#run(effect);
    const { phase, attempt, downSince, reason } = this.#state;
    const status: ConnectionStatus = { phase, attempt, downSince, reason };
    if (JSON.stringify(status) === JSON.stringify(this.#status)) return;
    this.#status = status;
    this.#polling.schedule();
    this.owner.onStatus(status);
  }

  #run(effect: ConnectionEffect): void {
    switch (effect.type) {
      case 'drop':
        // From here on its events belong to an old try and are ignored.
        this.#socket?.close();
        this.#socket = null;
        break;
      case 'timer':
        if (this.#timer !== null) this.env.clearTimeout(this.#timer);
        this.#timer = effect.ms === null ? null : this.env.setTimeout(() => this.#step({ type: 'timer' }), effect.ms);
        break;
      case 'renew':
        this.credential.renew(this.#token).then(
          () => this.#step({ type: 'renewed', try: effect.try }),
          (error: unknown) => this.#step({ type: 'renewFailed', try: effect.try, code: codeOf(error) }),
        );
        break;
      case 'prepare':
        this.owner.prepare().then(
          () => this.#step({ type: 'prepared', try: effect.try }),
          (error: unknown) => this.#step({ type: 'closed', try: effect.try, code: codeOf(error) }),
        );
        break;
      case 'join':
        this.#join(effect.try);
        break;
      case 'expired':
        this.credential.expire();
        break;
    }
  }

  #join(number: number): void {
    const isCurrent = (): boolean => this.#state.try === number;
    const closed = (code: number): void => this.#step({ type: 'closed', try: number, code });
    const { token } = this.credential;
    this.#token = token;
    let socket: Socket;
    try {
      // A browser lets a page set no header of a socket: a token travels as a subprotocol, a session as the cookie.
      socket = this.env.webSocket(this.owner.url(), token === null ? [PROTOCOL] : [PROTOCOL, `auth.${token}`]);
    } catch {
      // A browser throws for a mixed-content address, and when too many sockets are open.
      queueMicrotask(() => closed(1006));
      return;
    }
    this.#socket = socket;
    socket.onopen = () => {
      this.#step({ type: 'heard', try: number });
      if (isCurrent()) this.owner.onJoined?.(number);
    };
    socket.onmessage = ({ data }: { data: unknown }) => {
      if (!isCurrent()) return;
      const event = typeof data === 'string' ? parseServerEvent(data) : null;
      if (event?.type === 'alive') {
        this.#step({ type: 'alive', try: number, interval: event.intervalMs });
      } else {
        this.#step({ type: 'heard', try: number });
        if (event) this.owner.onEvent(event);
      }
    };
    // `close` follows an error. Without a listener Node's `ws` would throw it.
    socket.onerror = () => {};
    socket.onclose = ({ code }: { code: number }) => closed(code);
  }
}
