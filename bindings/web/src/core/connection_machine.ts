// What a connection decides: when to open a socket, when to give one up, how long to wait. A pure function;
// connection.ts is the shell that carries it out.
//
// A try goes through up to three stages: a new credential (only after a refused one), `prepare` (the owner loads what
// it needs before it can listen), and the socket itself, which counts as open once the owner says that nothing is
// missing. Each try has a number. Whatever arrives for another number belongs to a socket that was given up, and is
// ignored.
//
// A browser hides the server's pings from the page, and a phone that slept leaves sockets that look open and are dead.
// So a socket is replaced, which costs one round trip because it resumes, whenever its silence cannot be trusted: the
// network came back, the page came back from the back/forward cache or was hidden and without a sound for half a
// minute, the timers show that the machine slept, or the server did not say `alive` in time. An older server never says
// it; that is noticed when its first socket stays silent. While such a server's socket is silent, and where no socket
// opens, polling.ts asks by HTTP. Polling alone would not be enough: after a sleep the browser's HTTP connections may
// be dead as well, and it goes on using them.
import { backoff } from './backoff';
import type { ConnectionPhase, ConnectionStatus } from './model';

export type Stage = 'renew' | 'prepare' | 'join' | null;

export interface ConnectionState extends ConnectionStatus {
  readonly stage: Stage;
  /** The number of the present try. */
  readonly try: number;
  /** Failures since a socket last stayed open for a while; the wait grows with it. */
  readonly failures: number;
  /** The credential was refused; the next try begins with a new one. */
  readonly mustRenew: boolean;
  /** It was renewed and no socket has opened since: after another refusal the next try waits. */
  readonly hasRenewed: boolean;
  readonly hasReplaced: boolean;
  readonly openedAt: number;
  readonly heardAt: number;
  /** The server says `alive` at least this often; null for one that does not. */
  readonly interval: number | null;
  /** The server has said `alive`, so that `interval` is its own. */
  readonly sendsAlive: boolean;
  readonly isOffline: boolean;
  readonly hiddenAt: number | null;
  /** The server asked to wait until this time; nothing shortens that. */
  readonly notBefore: number;
  readonly timerDue: number;
}

export type ConnectionInput =
  | { readonly type: 'start' | 'stop' | 'reconnect' | 'replace' | 'timer' }
  | { readonly type: 'online' | 'offline' | 'visible' | 'hidden' | 'focus' | 'restored' }
  | { readonly type: 'renewed' | 'prepared' | 'heard' | 'ready'; readonly try: number }
  | { readonly type: 'alive'; readonly try: number; readonly interval: number }
  | { readonly type: 'closed'; readonly try: number; readonly code: number }
  | { readonly type: 'renewFailed'; readonly try: number; readonly code: number };

export type ConnectionEffect =
  | { readonly type: 'renew' | 'prepare' | 'join'; readonly try: number }
  /** Give up the socket, if there is one. */
  | { readonly type: 'drop' }
  /** There is one timer: this sets it anew; null ends it. */
  | { readonly type: 'timer'; readonly ms: number | null }
  /** The session is over. */
  | { readonly type: 'expired' };

export interface StepContext {
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
  /** Whether there is a credential to renew. */
  readonly canRenew: boolean;
}

export type Step = readonly [ConnectionState, readonly ConnectionEffect[]];

/** A socket that says nothing for this long before it is open has failed. */
const JOIN_TIMEOUT = 10_000;
/** The longest time for the host's `renew` and the owner's `prepare`, which have shorter time-outs of their own. */
const PREPARE_TIMEOUT = 45_000;
const SILENCE = 30_000;
/** The period of the timer while open. */
const CHECK_PERIOD = 30_000;
/** A timer this late means that the machine slept. Browsers let the timers of a hidden page run once a minute. */
const SLEEP_THRESHOLD = 90_000;
/** The interval of a server that has not told one yet. */
const USUAL_INTERVAL = 25_000;
/** This long after the interval a silent socket may be dead, and polling may begin. */
const SUSPICIOUS_AFTER = 10_000;
/** This long after the interval the socket counts as dead. A connection may stall for less than that, and recover. */
const DEAD_AFTER = 30_000;
/** A socket that was open for this long resets the count of failures: one that opens and dies at once does not. */
const STABLE_AFTER = 10_000;

export const initialConnection: ConnectionState = {
  phase: 'idle',
  attempt: 0,
  downSince: null,
  reason: null,
  stage: null,
  try: 0,
  failures: 0,
  mustRenew: false,
  hasRenewed: false,
  hasReplaced: false,
  openedAt: 0,
  heardAt: 0,
  interval: USUAL_INTERVAL,
  sendsAlive: false,
  isOffline: false,
  hiddenAt: null,
  notBefore: 0,
  timerDue: 0,
};

const REASONS: Readonly<Record<number, ConnectionStatus['reason']>> = {
  1002: 'protocol',
  1003: 'protocol',
  1007: 'protocol',
  1008: 'protocol',
  1009: 'protocol',
  4400: 'protocol',
  4401: 'unauthorized',
  4403: 'forbidden',
  4404: 'not_found',
};

/** The least wait that a close code asks for, in ms. */
const LEAST_WAIT: Readonly<Record<number, number>> = { 1011: 1000, 1013: 2000, 4429: 5000 };

/** The close code that says the same as an HTTP status; 0 is no answer. */
export function closeCodeOf(status: number): number {
  if (status === 401 || status === 403 || status === 404 || status === 429) return 4000 + status;
  return status >= 400 && status < 500 && status !== 408 && status !== 425 ? 4400 : 1006;
}

function timer(state: ConnectionState, now: number, ms: number, effects: readonly ConnectionEffect[]): Step {
  return [{ ...state, timerDue: now + ms }, [...effects, { type: 'timer', ms }]];
}

/** The time, past or future, from which no socket is trusted to deliver events; null while the connection is not
 *  wanted. */
export function silentSince({ phase, heardAt, interval, downSince }: ConnectionState): number | null {
  if (phase === 'idle' || phase === 'stopped') return null;
  return phase === 'open' ? heardAt + (interval ?? USUAL_INTERVAL) + SUSPICIOUS_AFTER : downSince;
}

const deadAt = ({ heardAt, interval }: ConnectionState): number =>
  interval === null ? Infinity : heardAt + interval + DEAD_AFTER;

const watch = (state: ConnectionState, now: number): Step =>
  timer(state, now, Math.min(CHECK_PERIOD, deadAt(state) - now), []);

function begin(state: ConnectionState, { now, canRenew }: StepContext): Step {
  const stage = state.mustRenew && canRenew ? 'renew' : 'prepare';
  const next: ConnectionState = {
    ...state,
    phase: 'connecting',
    stage,
    try: state.try + 1,
    downSince: state.downSince ?? now,
    reason: null,
  };
  return timer(next, now, PREPARE_TIMEOUT, [{ type: 'drop' }, { type: stage, try: next.try }]);
}

function end(state: ConnectionState, phase: ConnectionPhase, reason: ConnectionStatus['reason']): Step {
  return [
    { ...state, phase, reason, stage: null, try: state.try + 1 },
    [{ type: 'drop' }, { type: 'timer', ms: null }],
  ];
}

function wait(state: ConnectionState, { now, random }: StepContext, patience: number): Step {
  const lasted = state.phase === 'open' && now - state.openedAt >= STABLE_AFTER;
  const failures = lasted ? 1 : state.failures + 1;
  const next: ConnectionState = {
    ...state,
    phase: 'waiting',
    stage: null,
    try: state.try + 1,
    attempt: state.attempt + 1,
    failures,
    downSince: state.downSince ?? now,
    notBefore: now + patience,
  };
  return timer(next, now, Math.max(patience, backoff(failures, random)), [{ type: 'drop' }]);
}

function closed(state: ConnectionState, code: number, at: StepContext): Step {
  const reason = REASONS[code];
  if (reason === 'unauthorized' && at.canRenew) {
    const refused = { ...state, mustRenew: true };
    return state.hasRenewed ? wait(refused, at, 0) : begin({ ...refused, hasRenewed: true }, at);
  }
  if (!reason) return wait(state, at, LEAST_WAIT[code] ?? 0);
  const [next, effects] = end({ ...state, downSince: state.downSince ?? at.now }, 'stopped', reason);
  return [next, reason === 'unauthorized' ? [...effects, { type: 'expired' }] : effects];
}

const isTrying = ({ phase }: ConnectionState): boolean => phase === 'connecting' || phase === 'open';

export function stepConnection(state: ConnectionState, input: ConnectionInput, at: StepContext): Step {
  const { now } = at;
  const unchanged: Step = [state, []];
  const retryNow = (then: ConnectionState = state): Step =>
    then.phase === 'waiting' && now >= then.notBefore ? begin(then, at) : [then, []];

  // Every input that belongs to a try has its number in the member `try`.
  if ('try' in input && (input.try !== state.try || !isTrying(state))) return unchanged;

  switch (input.type) {
    case 'start':
      return state.phase === 'idle'
        ? begin({ ...initialConnection, try: state.try, isOffline: state.isOffline }, at)
        : unchanged;
    case 'stop':
      return end({ ...state, downSince: null, attempt: 0 }, 'idle', null);
    case 'reconnect':
      if (state.phase === 'stopped') {
        return begin({ ...state, mustRenew: state.reason === 'unauthorized', hasRenewed: false }, at);
      }
      return state.phase === 'waiting' || state.phase === 'connecting' ? begin(state, at) : unchanged;
    case 'replace':
      // Only once: a socket that must be replaced again before it has opened would otherwise be replaced for ever
      // without a pause.
      if (!isTrying(state)) return unchanged;
      return state.hasReplaced ? wait(state, at, 0) : begin({ ...state, hasReplaced: true }, at);

    case 'renewed':
      if (state.stage !== 'renew') return unchanged;
      return timer({ ...state, stage: 'prepare', mustRenew: false, hasRenewed: true }, now, PREPARE_TIMEOUT, [
        { type: 'prepare', try: state.try },
      ]);
    case 'renewFailed': {
      if (state.stage !== 'renew') return unchanged;
      const reason = REASONS[input.code];
      return reason ? end(state, 'stopped', reason === 'protocol' ? 'unauthorized' : reason) : wait(state, at, 0);
    }
    case 'prepared':
      if (state.stage !== 'prepare') return unchanged;
      return timer({ ...state, stage: 'join', heardAt: now }, now, JOIN_TIMEOUT, [{ type: 'join', try: state.try }]);
    case 'heard':
      return [{ ...state, heardAt: now }, []];
    case 'alive':
      return [{ ...state, heardAt: now, interval: input.interval, sendsAlive: true }, []];
    case 'ready': {
      if (state.stage !== 'join') return unchanged;
      const open: ConnectionState = {
        ...state,
        phase: 'open',
        stage: null,
        attempt: 0,
        downSince: null,
        hasRenewed: false,
        hasReplaced: false,
        openedAt: now,
        heardAt: now,
      };
      return watch(open, now);
    }
    case 'closed':
      return closed(state, input.code, at);

    case 'timer':
      if (state.phase === 'waiting') return begin(state, at);
      if (state.phase === 'open') {
        // After the clock was set back, `heardAt` would lie in the future, and silence would go unnoticed.
        const heard = { ...state, heardAt: Math.min(state.heardAt, now) };
        if (now - state.timerDue > SLEEP_THRESHOLD) return begin(heard, at);
        if (now < deadAt(heard)) return watch(heard, now);
        return begin({ ...heard, interval: heard.sendsAlive ? heard.interval : null }, at);
      }
      if (state.phase !== 'connecting') return unchanged;
      return state.stage === 'join' && now - state.heardAt < JOIN_TIMEOUT
        ? timer(state, now, JOIN_TIMEOUT - (now - state.heardAt), [])
        : wait(state, at, 0);

    case 'offline':
      return [{ ...state, isOffline: true }, []];
    case 'online': {
      const back = { ...state, isOffline: false };
      return state.isOffline && isTrying(state) ? begin(back, at) : retryNow(back);
    }
    case 'hidden':
      return [{ ...state, hiddenAt: now }, []];
    case 'visible': {
      // Without `hiddenAt`, the page was hidden from the start.
      const shown = { ...state, hiddenAt: null };
      const silence = now - Math.max(state.hiddenAt ?? 0, state.heardAt);
      return state.phase === 'open' && silence > SILENCE ? begin(shown, at) : retryNow(shown);
    }
    case 'focus':
      return retryNow();
    case 'restored':
      return isTrying(state) ? begin(state, at) : retryNow();
  }
}
