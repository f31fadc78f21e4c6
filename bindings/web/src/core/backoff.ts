// How long to wait before the next try: full jitter, so that the clients of a restarted server do not come back at
// once.

const FIRST = 500;
const LONGEST = 20_000;

/** Milliseconds after `failures` (1, 2, 3 …) in a row; `random` is in [0, 1). */
export const backoff = (failures: number, random: number): number =>
  Math.round(random * Math.min(LONGEST, FIRST * 2 ** Math.min(failures - 1, 16)));
