import { describe, expect, test } from 'vitest';
import type { Conversation } from '../../src/core/types';
import { initials } from '../../src/react/avatar';
import { rowPreview, rowTime } from '../../src/react/conversation_labels';
import { stringsFor } from '../../src/react/strings';
import { untilMidnight } from '../../src/react/today';
import { nullsOfMessage } from '../../src/core/wire';

const { strings } = stringsFor('en');

// All times are local: a row shows those of the viewer's zone.
const now = new Date(2026, 10, 23, 10, 0);
const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, day, hour, minute);
const time = (when: Date, locale = 'en-US') =>
  rowTime(when, now, locale, stringsFor(locale).strings).replace(/\u202f/gu, ' ');

describe('the time of a row', () => {
  test('is the time of day for today, from the first to the last minute', () => {
    expect(time(at(23, 0, 0))).toBe('12:00 AM');
    expect(time(at(23, 9, 34))).toBe('9:34 AM');
    expect(time(at(23, 23, 59))).toBe('11:59 PM');
  });

  test('is "Yesterday" for the whole day before, however few hours ago', () => {
    expect(time(at(22, 23, 59))).toBe('Yesterday');
    expect(time(at(22, 0, 0))).toBe('Yesterday');
  });

  test('is the weekday from two to six days ago', () => {
    expect(time(at(21, 23, 59))).toBe('Saturday');
    expect(time(at(17, 0, 0))).toBe('Tuesday');
  });

  test('is the date from seven days ago on, so that a weekday never means last week', () => {
    expect(time(at(16, 23, 59))).toBe('11/16/26');
    expect(time(new Date(2025, 11, 14, 11, 0))).toBe('12/14/25');
  });

  test('is the time of day for a message of a server whose clock is ahead', () => {
    expect(rowTime(at(24, 0, 1), at(23, 23, 59), 'en-US', strings)).toMatch(/^12:01.AM$/u);
  });

  test('speaks the language of the list', () => {
    expect(time(at(23, 14, 34), 'de')).toBe('14:34');
    expect(time(at(22, 14, 34), 'de')).toBe('Gestern');
    expect(time(at(21, 14, 34), 'de')).toBe('Samstag');
    expect(time(at(1, 14, 34), 'de')).toBe('01.11.26');
  });
});

const message = {
  ...nullsOfMessage,
  id: 'm1',
  conversationId: 'c1',
  orgId: 'o1',
  senderType: 'client',
  senderId: 'client-1',
  senderName: 'Maria Lopez',
  content: 'Hello',
  isRead: false,
  createdAt: '2026-11-23T09:00:00.000Z',
  seq: 1,
  rev: 1,
} as const;

function withLast(changes: Partial<NonNullable<Conversation['lastMessage']>> | null): Conversation {
  return {
    id: 'c1',
    orgId: 'o1',
    clientId: 'client-1',
    createdAt: '2026-11-20T09:00:00.000Z',
    lastMessageAt: changes && message.createdAt,
    clientName: 'Maria Lopez',
    clientAvatarUrl: null,
    lastMessage: changes && { ...message, ...changes },
    unreadCount: 0,
    activeTrip: null,
    rev: 1,
  };
}

describe('the preview of a row', () => {
  const me = { type: 'advisor', id: 'advisor-1' } as const;

  test("has no prefix for the client's words", () => {
    expect(rowPreview(withLast({}), me, strings)).toEqual({ prefix: '', text: 'Hello' });
  });

  test('says "You" for one\'s own words, and a first name for a colleague\'s', () => {
    const own = withLast({ senderType: 'advisor', senderId: 'advisor-1', senderName: 'Ann Beck' });
    const colleague = withLast({ senderType: 'advisor', senderId: 'advisor-2', senderName: 'Tom Reyes' });
    expect(rowPreview(own, me, strings).prefix).toBe('You: ');
    expect(rowPreview(colleague, me, strings).prefix).toBe('Tom: ');
    expect(rowPreview(colleague, undefined, strings).prefix).toBe('You: ');
  });

  test('takes a client with the id of the advisor for a client', () => {
    expect(rowPreview(withLast({ senderId: 'advisor-1' }), me, strings).prefix).toBe('');
  });

  test('is one line, whatever white space the message has', () => {
    const content = 'one\n\n two\tthree\u2028four';
    expect(rowPreview(withLast({ content }), me, strings).text).toBe('one two three four');
  });

  test('of a long message ends early, and never within an emoji', () => {
    const { text } = rowPreview(withLast({ content: '😂'.repeat(10_000) }), me, strings);
    expect([...text]).toHaveLength(161);
    expect(text.isWellFormed()).toBe(true);
  });

  test('shows markup as text', () => {
    const content = '<img src=x onerror=alert(1)>';
    expect(rowPreview(withLast({ content }), me, strings).text).toBe(content);
  });

  test('names an attachment that came without words', () => {
    const attachment = { content: '', attachmentUrl: 'https://files.example/1', attachmentName: 'visa.pdf' };
    expect(rowPreview(withLast(attachment), me, strings).text).toBe('visa.pdf');
    expect(rowPreview(withLast({ ...attachment, attachmentName: null }), me, strings).text).toBe('File');
  });

  test('of an empty conversation says that there is nothing yet', () => {
    expect(rowPreview(withLast(null), me, strings)).toEqual({ prefix: '', text: 'No messages yet' });
  });
});

describe('initials', () => {
  test.each([
    ['Maria Lopez', 'ML'],
    ['María José Ortiz', 'MO'],
    ['  plato ', 'P'],
    ['Øyvind (Home) Åsen', 'ØÅ'],
    ['李小龍', '李'],
    ['👩‍🚀 Zoë', 'Z'],
    ['', ''],
    ['— …', ''],
  ])('of %j are %j', (name, expected) => {
    expect(initials(name)).toBe(expected);
  });
});

describe('midnight', () => {
  test('is at most a day away, and never now', () => {
    expect(untilMidnight(at(23, 23, 59))).toBe(60_000);
    expect(untilMidnight(at(23, 10, 0))).toBe(14 * 3_600_000);
    expect(untilMidnight(new Date(2026, 10, 23, 23, 59, 59, 999))).toBe(1);
  });
});
