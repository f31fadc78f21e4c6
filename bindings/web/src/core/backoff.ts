// How long to wait before the next try: full jitter, so that the clients of a restarted server do not come back at
// once; and at least as long as the server asked for, within reason.

const FIRST = 500;
const LONGEST = 20_000;
/** A longer Retry-After is cut to this: a gateway may ask for days, or send a timestamp in place of seconds. */
const LONGEST_ASKED = 5 * 60_000;

/** Milliseconds after `failures` (1, 2, 3 …) in a row; `random` is in [0, 1). */
export const backoff = (failures: number, random: number): number =>
  Math.round(random * Math.min(LONGEST, FIRST * 2 ** Math.min(failures - 1, 16)));

/** The milliseconds of a Retry-After, in either of its forms (RFC 9110 section 10.2.3). Null where it asks for none: it
 * is absent or neither of them, or its moment is over. */
export function parseRetryAfter(header: string | null, now: number): number | null {
  const text = header?.trim() ?? '';
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : text.endsWith('GMT') ? Date.parse(text) - now : NaN;
  return ms > 0 ? Math.min(ms, LONGEST_ASKED) : null;
}
