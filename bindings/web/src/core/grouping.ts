// How a thread of messages is laid out: groups, dividers and their labels, as pure functions.
//
// include/travelchat/grouping.hpp has the same in C++; tests/vectors/grouping.json tests both.
import { languageTag } from './language';
import type { Message } from './types';

/** Messages of one sender less than this apart form a group. */
const GROUP_GAP = 60_000;
/** A divider stands before a message that came more than this after the one before it. */
const DIVIDER_GAP = 300_000;

export interface RowLayout {
  /** A time divider stands before this message. */
  readonly hasDivider: boolean;
  /** The avatar goes here. */
  readonly isFirstInGroup: boolean;
  /** The sharp corner goes here. */
  readonly isLastInGroup: boolean;
}

/** One entry for each message, in the order given (by seq). A group is consecutive messages with the same sender
 * type and id, each less than 60 s after the one before; a divider always ends a group. A clock that stepped back
 * counts as no gap. */
export function layOut(messages: readonly Pick<Message, 'senderType' | 'senderId' | 'createdAt'>[]): RowLayout[] {
  const continues = messages.map((message, i) => {
    const previous = messages[i - 1];
    return (
      previous !== undefined &&
      previous.senderType === message.senderType &&
      previous.senderId === message.senderId &&
      Date.parse(message.createdAt) - Date.parse(previous.createdAt) < GROUP_GAP
    );
  });
  return messages.map((message, i) => ({
    hasDivider: needsDivider(messages[i - 1]?.createdAt ?? null, message.createdAt),
    isFirstInGroup: !continues[i],
    isLastInGroup: !continues[i + 1],
  }));
}

/** `previous` is null for the first message. */
export function needsDivider(previous: string | null, current: string): boolean {
  return previous === null || Date.parse(current) - Date.parse(previous) > DIVIDER_GAP;
}

const formats = new Map<string, Intl.DateTimeFormat>();

// A zone that this browser does not know, or that is misspelt, counts as the viewer's own.
function zoneOption(timeZone: string | undefined): { timeZone?: string } {
  if (timeZone === undefined) return {};
  try {
    new Intl.DateTimeFormat('en', { timeZone });
    return { timeZone };
  } catch {
    return {};
  }
}

// Making a format costs some 50 µs, and a thread shows hundreds of times.
function format(
  locale: string,
  timeZone: string | undefined,
  kind: 'time' | 'date' | 'datedYear',
): Intl.DateTimeFormat {
  const key = `${locale} ${timeZone} ${kind}`;
  let made = formats.get(key);
  if (!made) {
    const zone = zoneOption(timeZone);
    made = new Intl.DateTimeFormat(
      languageTag(locale) ?? 'en',
      kind === 'time'
        ? { ...zone, hour: 'numeric', minute: '2-digit' }
        : {
            ...zone,
            weekday: 'short',
            month: 'short',
            day: 'numeric',
            ...(kind === 'datedYear' ? { year: 'numeric' } : {}),
          },
    );
    formats.set(key, made);
  }
  return made;
}

const dayFormat = (timeZone: string | undefined): Intl.DateTimeFormat => {
  const key = `day ${timeZone}`;
  let made = formats.get(key);
  if (!made) {
    made = new Intl.DateTimeFormat('en-u-ca-gregory-nu-latn', {
      ...zoneOption(timeZone),
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
    });
    formats.set(key, made);
  }
  return made;
};

// The calendar day of the viewer as a count of days, so that "yesterday" is a difference of one also when a day of the
// zone has 23 or 25 hours.
function dayOf(at: Date, timeZone: string | undefined): { count: number; year: number } {
  const part: Record<string, number> = {};
  for (const { type, value } of dayFormat(timeZone).formatToParts(at)) part[type] = Number(value);
  const { year = 0, month = 1, day = 1 } = part;
  return { count: Date.UTC(year, month - 1, day) / 86_400_000, year };
}

// Newer Intl data put U+202F before "PM"; a plain space wraps and copies better, and is what the C++ version writes.
const plain = (text: string): string => text.replace(/[\u202f\u00a0]/g, ' ');

/** "2:34 PM", in the words of `locale`. Here and below a locale that is no language tag counts as what it begins with, or
 * as English, and an unknown zone as the viewer's own. */
export function timeLabel(at: Date, locale: string, timeZone?: string): string {
  return plain(format(locale, timeZone, 'time').format(at));
}

/** "Today 2:34 PM", "Yesterday 9:15 AM", "Mon Dec 14, 11:00 AM", and with the year when it is not the year of `now`.
 * Days are those of the viewer. A time after the end of the viewer's today is shown as a date. */
export function dividerLabel(
  at: Date,
  now: Date,
  locale: string,
  words: { today: string; yesterday: string },
  timeZone?: string,
): string {
  const time = timeLabel(at, locale, timeZone);
  const day = dayOf(at, timeZone);
  const today = dayOf(now, timeZone);
  if (day.count === today.count) return `${words.today} ${time}`;
  if (day.count === today.count - 1) return `${words.yesterday} ${time}`;
  const date = format(locale, timeZone, day.year === today.year ? 'date' : 'datedYear');
  // English writes "Mon, Dec 14"; without that comma it is what the C++ version writes. Other languages keep their own
  // form.
  const parts = date.formatToParts(at);
  const isEnglish = /^en\b/i.test(languageTag(locale) ?? 'en');
  const text = parts
    .map(({ type, value }, i) =>
      type === 'literal' && parts[i - 1]?.type === 'weekday' && isEnglish ? ' ' : value,
    )
    .join('');
  return `${plain(text)}, ${time}`;
}
