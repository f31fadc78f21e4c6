import { describe, expect, it } from 'vitest';
import vectors from '../../../../tests/vectors/grouping.json';
import type { ParticipantType } from '../../src/core';
import { dividerLabel, layOut, needsDivider, timeLabel } from '../../src/core';

const ENGLISH = { today: 'Today', yesterday: 'Yesterday' };

// Node 20 has no zones like "+05:45"; these have had the offset at the time of every vector.
function zoneOf(utcOffsetMinutes: number): string {
  if (utcOffsetMinutes === 345) return 'Asia/Kathmandu';
  if (utcOffsetMinutes % 60 !== 0) throw new Error(`Name a zone that is ${utcOffsetMinutes} minutes ahead of UTC.`);
  const hours = utcOffsetMinutes / 60;
  return hours === 0 ? 'Etc/UTC' : `Etc/GMT${hours > 0 ? '-' : '+'}${Math.abs(hours)}`;
}

describe('layout', () => {
  it.each(vectors.layouts)('$description', ({ messages, expected }) => {
    const typed = messages.map((message) => ({ ...message, senderType: message.senderType as ParticipantType }));
    expect(layOut(typed)).toEqual(expected);
  });

  it('the first message of all needs a divider', () => {
    expect(needsDivider(null, '2026-11-23T10:00:00.000Z')).toBe(true);
  });
});

describe('labels of dividers', () => {
  it.each(vectors.labels)('$description', ({ at, now, utcOffsetMinutes, expected }) => {
    const label = dividerLabel(new Date(at), new Date(now), 'en', ENGLISH, zoneOf(utcOffsetMinutes));
    expect(label).toBe(expected);
  });

  it.each(vectors.labels)('and so in American English: $description', ({ at, now, utcOffsetMinutes, expected }) => {
    expect(dividerLabel(new Date(at), new Date(now), 'en-US', ENGLISH, zoneOf(utcOffsetMinutes))).toBe(expected);
  });

  const at = new Date('2026-11-20T14:34:00Z');
  const now = new Date('2026-11-23T10:00:00Z');

  it('other languages read as their people write', () => {
    const german = { today: 'Heute', yesterday: 'Gestern' };
    expect(dividerLabel(now, now, 'de', german, 'UTC')).toBe('Heute 10:00');
    expect(dividerLabel(at, now, 'de', german, 'UTC')).toBe('Fr., 20. Nov., 14:34');
    expect(dividerLabel(at, new Date('2027-01-01T00:00:00Z'), 'de', german, 'UTC')).toBe('Fr., 20. Nov. 2026, 14:34');
    expect(dividerLabel(at, now, 'en-GB', ENGLISH, 'UTC')).toBe('Fri 20 Nov, 14:34');
    expect(dividerLabel(at, now, 'fr', ENGLISH, 'UTC')).toBe('ven. 20 nov., 14:34');
  });

  it('a day of 23 or 25 hours is one day', () => {
    // In New York the clocks went forward on 8 March 2026 and back on 1 November 2026.
    const label = (then: string, here: string): string =>
      dividerLabel(new Date(then), new Date(here), 'en', ENGLISH, 'America/New_York');
    expect(label('2026-03-08T04:30:00Z', '2026-03-09T04:10:00Z')).toBe('Sat Mar 7, 11:30 PM');
    expect(label('2026-03-08T05:30:00Z', '2026-03-09T04:10:00Z')).toBe('Yesterday 12:30 AM');
    expect(label('2026-11-01T04:10:00Z', '2026-11-02T05:30:00Z')).toBe('Yesterday 12:10 AM');
  });

  it('calendars and digits of the language do not move the day', () => {
    const label = dividerLabel(now, now, 'fa-IR', { today: 'امروز', yesterday: 'دیروز' }, 'UTC');
    expect(label.startsWith('امروز ')).toBe(true);
    expect(dividerLabel(now, now, 'th-TH', ENGLISH, 'UTC')).toBe('Today 10:00');
  });
});

describe('times', () => {
  it('have an ordinary space before PM', () => {
    expect(timeLabel(new Date('2026-11-23T14:34:00Z'), 'en', 'UTC')).toBe('2:34 PM');
  });

  it('without a zone are those of this machine', () => {
    const at = new Date('2026-11-23T14:34:00Z');
    expect(timeLabel(at, 'en')).toBe(timeLabel(at, 'en', Intl.DateTimeFormat().resolvedOptions().timeZone));
  });
});
