import { describe, expect, it } from 'vitest';
import { dividerLabel, timeLabel } from '../../src/core';
import { languageTag } from '../../src/core/language';

describe('what is said to be a language tag', () => {
  it.each(['en', 'en-US', 'de-AT', 'EN-gb', 'zh-Hant-TW', 'ar-u-nu-latn', 'sr-Latn', 'fil', 'de-DE-1996'])('%s is one', (text) => {
    expect(languageTag(text)).toBe(text);
  });

  it.each([
    ['en-US@posix', 'en-US'],
    ['de-DE@euro', 'de-DE'],
    ['en-US.UTF-8', 'en-US'],
    ['de_AT', 'de-AT'],
    ['de_AT.UTF-8@euro', 'de-AT'],
    ['en-GB-UK', 'en-GB'],
    ['en-US, en', 'en-US'],
    ['en-', 'en'],
    ['en--US', 'en'],
    [' fr ', 'fr'],
    ['de-u', 'de'],
    ['en-a-b', 'en'],
  ])('%j counts as %s', (text, tag) => {
    expect(languageTag(text)).toBe(tag);
  });

  it.each([undefined, '', ' ', 'C', 'C.UTF-8', 'und', 'und-DE', '@', '-', '*', 'x-klingon', 'i-default'])('%j is none', (text) => {
    expect(languageTag(text)).toBeUndefined();
  });
});

describe('labels for whatever a host gives', () => {
  const at = new Date('2026-11-20T14:34:00Z');
  const now = new Date('2026-11-23T10:00:00Z');
  const words = { today: 'Today', yesterday: 'Yesterday' };

  it('are in the language that a malformed tag begins with', () => {
    expect(timeLabel(at, 'de_DE@euro', 'UTC')).toBe('14:34');
    expect(dividerLabel(at, now, 'en-US@posix', words, 'UTC')).toBe('Fri Nov 20, 2:34 PM');
    expect(dividerLabel(at, now, 'de-DE.UTF-8', words, 'UTC')).toBe('Fr., 20. Nov., 14:34');
  });

  it.each(['C', 'und', '', '***'])('are English for %j', (tag) => {
    expect(timeLabel(at, tag, 'UTC')).toBe('2:34 PM');
    expect(dividerLabel(at, now, tag, words, 'UTC')).toBe('Fri Nov 20, 2:34 PM');
  });

  it.each(['Mars/Olympus', '', '+25:00', 'US/Nowhere'])("are in the viewer's own zone where %j is none", (zone) => {
    expect(timeLabel(at, 'en', zone)).toBe(timeLabel(at, 'en'));
    expect(dividerLabel(now, now, 'en', words, zone)).toBe(dividerLabel(now, now, 'en', words));
  });
});
