// A short soft chime of two tones, made by the browser itself. Importing it makes nothing; a browser that allows no
// sound yet (nobody has touched the page) stays silent.

export interface Chime {
  play(): void;
  dispose(): void;
}

const TONES = [880, 1174.66] as const;
const STEP = 0.12;
const LENGTH = 0.35;
const VOLUME = 0.08;
/** Every tab of the origin hears of the same message at about the same time; the first one plays. */
const HOLD = 1000;

function ring(context: AudioContext): void {
  TONES.forEach((frequency, i) => {
    const start = context.currentTime + i * STEP;
    const oscillator = new OscillatorNode(context, { type: 'sine', frequency });
    const gain = new GainNode(context, { gain: 0 });
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(VOLUME, start + 0.01);
    gain.gain.exponentialRampToValueAtTime(0.0001, start + LENGTH);
    oscillator.connect(gain).connect(context.destination);
    oscillator.start(start);
    oscillator.stop(start + LENGTH);
  });
}

export function createChime(): Chime {
  let context: AudioContext | null = null;
  const end = new AbortController();

  // Browsers start sound only on a person's act, Safari only while its handler runs; a phone call ends it until the
  // next act.
  const unlock = (): void => {
    if (typeof AudioContext === 'undefined') return;
    context ??= new AudioContext();
    if (context.state !== 'running') void context.resume().catch(() => {});
  };
  if (typeof document !== 'undefined') {
    for (const act of ['pointerdown', 'keydown']) {
      document.addEventListener(act, unlock, { capture: true, passive: true, signal: end.signal });
    }
  }

  return {
    play() {
      if (end.signal.aborted || context?.state !== 'running') return;
      const ready = context;
      const locks = globalThis.navigator?.locks;
      if (!locks) return ring(ready);
      void locks
        .request('travelchat:chime', { ifAvailable: true }, (lock) => {
          if (!lock) return undefined;
          ring(ready);
          return new Promise((resolve) => setTimeout(resolve, HOLD));
        })
        .catch(() => {});
    },
    dispose() {
      end.abort();
      void context?.close().catch(() => {});
      context = null;
    },
  };
}
