// The texts of a row of the list: pure functions of a conversation, the clock and the language.
import { timeLabel } from '../core/grouping';
import type { Conversation, Participant } from '../core/types';
import type { ChatStrings } from './strings';

const DAY_MS = 86_400_000;

// A message may hold 10,000 code points; the one line of a row never shows more than these.
const PREVIEW_LENGTH = 160;

// The calendar day in the viewer's zone, as a number that grows by one each day, also when summer time begins or ends.
function dayNumber(at: Date): number {
  return Date.UTC(at.getFullYear(), at.getMonth(), at.getDate()) / DAY_MS;
}

// Making a format costs more than using it a thousand times, and a list has a thousand rows.
const formats = new Map<string, Intl.DateTimeFormat>();

function format(at: Date, locale: string, options: Intl.DateTimeFormatOptions): string {
  const key = locale + (options.weekday ?? options.dateStyle);
  let found = formats.get(key);
  if (!found) formats.set(key, (found = new Intl.DateTimeFormat(locale, options)));
  return found.format(at);
}

/** "2:34 PM" today, "Yesterday", "Monday" within a week, otherwise "12/14/26", all in the viewer's zone. */
export function rowTime(at: Date, now: Date, locale: string, words: { yesterday: string }): string {
  const daysAgo = dayNumber(now) - dayNumber(at);
  // The server's clock may be ahead of this one: what seems to come from tomorrow has just been written.
  if (daysAgo === 0 || daysAgo === -1) return timeLabel(at, locale);
  if (daysAgo === 1) return words.yesterday;
  if (daysAgo > 1 && daysAgo < 7) return format(at, locale, { weekday: 'long' });
  return format(at, locale, { dateStyle: 'short' });
}

export interface RowPreview {
  /** Who wrote, where that is this side: "You: ", or a colleague's "Ann: ". Otherwise empty. */
  readonly prefix: string;
  /** One line of plain text. */
  readonly text: string;
}

/** The newest message in one line. `me` tells the viewer's own words from a colleague's; without it all of this side's
 * are the viewer's. */
export function rowPreview(conversation: Conversation, me: Participant | undefined, strings: ChatStrings): RowPreview {
  const message = conversation.lastMessage;
  if (message === null) return { prefix: '', text: strings.noMessages };
  let prefix = '';
  if (message.senderType === 'advisor') {
    prefix =
      me === undefined || me.id === message.senderId
        ? strings.youSaid('')
        : strings.personSaid(message.senderName.trim().split(/\s+/u)[0]!, '');
  }
  const attachment = message.attachmentUrl === null ? '' : (message.attachmentName ?? strings.fileAttachment);
  return { prefix, text: oneLine(message.content) || attachment };
}

function oneLine(text: string): string {
  // Cut first to bound the work: four units for each code point that is shown leave room for runs of white space.
  const line = text.slice(0, PREVIEW_LENGTH * 4).replace(/\s+/gu, ' ').trim();
  const points = [...line];
  return points.length > PREVIEW_LENGTH ? `${points.slice(0, PREVIEW_LENGTH).join('')}…` : line;
}
