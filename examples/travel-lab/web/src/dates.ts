// A trip's days. They are calendar days without a zone, so they are read and shown as UTC.

const day_ms = 86_400_000;

/** ms since the epoch of that day's midnight in UTC; null for what is no date. */
function dayOf(date: string): number | null {
  const at = /^\d{4}-\d{2}-\d{2}$/.test(date) ? Date.parse(`${date}T00:00:00Z`) : NaN;
  return Number.isNaN(at) ? null : at;
}

/** "December 2 – 11, 2026"; the texts as they are when they are no dates. */
export function dateRange(startsOn: string, endsOn: string, locale: string): string {
  const start = dayOf(startsOn);
  const end = dayOf(endsOn);
  if (start === null || end === null || end < start) return `${startsOn} – ${endsOn}`;
  const format = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
  return format.formatRange(start, end);
}

export function nights(startsOn: string, endsOn: string): number | null {
  const start = dayOf(startsOn);
  const end = dayOf(endsOn);
  return start === null || end === null || end <= start ? null : Math.round((end - start) / day_ms);
}

/** Whole days from the viewer's own today to the day; negative when it is past. */
export function daysUntil(date: string, now: Date): number | null {
  const day = dayOf(date);
  if (day === null) return null;
  return Math.round((day - Date.UTC(now.getFullYear(), now.getMonth(), now.getDate())) / day_ms);
}

/** "in 9 days", "today", "now" while it lasts, and nothing when it is over. */
export function whenLabel(startsOn: string, endsOn: string, now: Date, locale: string): string | null {
  const start = daysUntil(startsOn, now);
  const end = daysUntil(endsOn, now);
  if (start === null || end === null || end < 0) return null;
  if (start < 0) return 'now';
  return new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(start, 'day');
}
