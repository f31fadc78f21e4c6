// A short soft chime of two tones, made by the browser itself, and the switch for it. Importing them makes nothing; a
// browser that allows no sound yet (nobody has touched the page) stays silent.
//
// An audio device in use keeps a machine from sleeping, so the audio context runs only while the chime sounds.
import type { Store } from './model';
import { Listeners } from './observable';

export interface Chime {
  play(): void;
  dispose(): void;
}

/** Whether this person wants to hear the chime: on at first, then what was set last in any tab of the origin. */
export interface SoundSwitch extends Store<boolean> {
  set(isOn: boolean): void;
}

const TONES = [880, 1174.66] as const;
const STEP = 0.12;
const LENGTH = 0.35;
const VOLUME = 0.08;
/** Every tab of the origin hears of the same message at about the same time; the first one plays. */
const HOLD = 1000;
const KEY = 'travelchat:sound';

const switched = new Listeners();
/** Where the browser keeps nothing. */
let isOnHere = true;

export const soundSwitch: SoundSwitch = {
  snapshot() {
    try {
      const kept = window.localStorage.getItem(KEY);
      return kept === null ? isOnHere : kept !== 'off';
    } catch {
      return isOnHere;
    }
  },
  subscribe(onChange) {
    const end = switched.add(onChange);
    // Of another tab; without a key everything was removed.
    const onStorage = ({ key }: StorageEvent): void => {
      if (key === KEY || key === null) onChange();
    };
    globalThis.addEventListener?.('storage', onStorage);
    return () => {
      end();
      globalThis.removeEventListener?.('storage', onStorage);
    };
  },
  set(isOn) {
    isOnHere = isOn;
    try {
      window.localStorage.setItem(KEY, isOn ? 'on' : 'off');
    } catch {
      // The setting then holds for this page only.
    }
    switched.notify();
  },
};

/** Gives the last tone. */
function ring(context: AudioContext): OscillatorNode {
  return TONES.map((frequency, i) => {
    const start = context.currentTime + i * STEP;
    const oscillator = new OscillatorNode(context, { type: 'sine', frequency });
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(VOLUME, start + 0.01);
    gain.gain.exponentialRampToValueAtTime(0.0001, start + LENGTH);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(start);
    oscillator.stop(start + LENGTH);
    return oscillator;
  }).at(-1)!;
}

// The locks' names contain the present second and the next, so that a lock of a suspended tab blocks nobody for long.
function inOneTab(play: () => void): void {
  const locks = globalThis.navigator?.locks;
  if (!locks) return play();
  const second = Math.floor(Date.now() / HOLD);
  const claim = (number: number, then: () => void): Promise<unknown> =>
    locks
      .request(`travelchat:chime:${number}`, { ifAvailable: true }, (lock) => {
        if (!lock) return undefined;
        then();
        return new Promise((resolve) => setTimeout(resolve, HOLD));
      })
      .catch(() => {});
  void claim(second, () => {
    void claim(second + 1, () => {});
    play();
  });
}

export function createChime(): Chime {
  let context: AudioContext | null = null;
  /** The browser lets it sound at any time from now on. */
  let isUnlocked = false;
  let sounding = 0;
  const end = new AbortController();

  const suspendIfSilent = (): void => {
    if (sounding === 0) void context?.suspend().catch(() => {});
  };

  // Browsers start sound only on a person's act, Safari only while its handler runs; a phone call ends it until the
  // next act.
  const unlock = (): void => {
    if (isUnlocked || typeof AudioContext === 'undefined' || !soundSwitch.snapshot()) return;
    context ??= new AudioContext();
    void context.resume().then(
      () => {
        isUnlocked = true;
        suspendIfSilent();
      },
      () => {},
    );
  };
  if (typeof document !== 'undefined') {
    for (const act of ['pointerdown', 'keydown']) {
      document.addEventListener(act, unlock, { capture: true, passive: true, signal: end.signal });
    }
  }
  // A click that turns the sound on is such an act, too.
  const endSwitch = soundSwitch.subscribe(unlock);

  const sound = async (ready: AudioContext): Promise<void> => {
    sounding += 1;
    const done = (): void => {
      sounding -= 1;
      suspendIfSilent();
    };
    // It may need another act of the person; by then the message is an old one.
    const isReady = await Promise.race([
      ready.resume().then(
        () => true,
        () => false,
      ),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(false), HOLD)),
    ]);
    if (isReady && !end.signal.aborted) {
      ring(ready).onended = done;
    } else {
      isUnlocked = false;
      done();
    }
  };

  return {
    play() {
      if (!context || !isUnlocked || end.signal.aborted || !soundSwitch.snapshot()) return;
      const ready = context;
      inOneTab(() => void sound(ready));
    },
    dispose() {
      end.abort();
      endSwitch();
      void context?.close().catch(() => {});
      context = null;
    },
  };
}
