import { describe, expect, test } from 'vitest';
import { EMOJI } from '../../src/core/types';
import { languages, localeOfWords, stringsFor, type ChatStrings } from '../../src/react/strings';

const tables = Object.entries(languages) as [string, ChatStrings][];

describe.each(tables)('%s', (_, table) => {
  test('has every entry of English, of the same kind', () => {
    expect(Object.keys(table).sort()).toEqual(Object.keys(languages.en).sort());
    for (const [key, value] of Object.entries(languages.en)) {
      expect(typeof table[key as keyof ChatStrings], key).toBe(typeof value);
    }
    expect(Object.keys(table.notSentBecause).sort()).toEqual(Object.keys(languages.en.notSentBecause).sort());
  });

  test('leaves no word empty and no argument out', () => {
    for (const [key, value] of Object.entries(table)) {
      if (typeof value === 'string') expect(value.trim(), key).not.toBe('');
    }
    expect(table.isTyping('Ann')).toContain('Ann');
    expect(table.personSaid('Ann', 'hi')).toMatch(/Ann.*hi/);
    expect(table.youSaid('hi')).toContain('hi');
    expect(table.newMessages(3)).toContain('3');
    expect(table.seenAt('2:34 PM')).toContain('2:34 PM');
    expect(table.reactedBy('Heart', 'Ann')).toMatch(/Heart.*Ann/);
    expect(table.tooLong(12, '12')).toContain('12');
    expect(table.noResults('xyz')).toContain('xyz');
    expect(table.unreadMessages(2)).toContain('2');
    expect(table.activeTrip('Rome')).toContain('Rome');
    expect(table.openChat(2)).toContain('2');
    expect(table.chatWith('Ann')).toContain('Ann');
    expect(table.re('Rome')).toContain('Rome');
  });

  test('counts one apart from many', () => {
    expect(table.newMessages(1)).not.toBe(table.newMessages(2).replace('2', '1'));
    expect(table.unreadMessages(1)).not.toBe(table.unreadMessages(2).replace('2', '1'));
    expect(table.openChat(0)).not.toMatch(/\d/);
  });

  test('names each emoji differently', () => {
    expect(new Set(EMOJI.map((emoji) => table.emoji[emoji])).size).toBe(EMOJI.length);
  });
});

test('a language without a table has English words and its own dates', () => {
  expect(stringsFor('fr-FR')).toEqual({ locale: 'fr-FR', strings: languages.en });
  expect(stringsFor('constructor').strings).toBe(languages.en);
});

test('no language is English', () => {
  for (const none of [undefined, '', 'C', 'und', 'C.UTF-8']) {
    expect(stringsFor(none)).toEqual({ locale: 'en', strings: languages.en });
  }
});

test('a malformed tag counts as what it begins with, and one of which nothing is left as not given', () => {
  expect(stringsFor('de-DE@euro')).toEqual({ locale: 'de-DE', strings: languages.de });
  expect(stringsFor('de_AT.UTF-8', 'en-US')).toEqual({ locale: 'de-AT', strings: languages.de });
  expect(stringsFor('C', 'de-CH')).toEqual({ locale: 'de-CH', strings: languages.de });
  expect(stringsFor(undefined, 'en-US@posix')).toEqual({ locale: 'en-US', strings: languages.en });
});

test('a list within a sentence is in the language of its words', () => {
  expect(localeOfWords(stringsFor('fr-FR'))).toBe('en');
  expect(localeOfWords(stringsFor('de-AT'))).toBe('de-AT');
  expect(localeOfWords({ locale: 'fr-CA', strings: { ...languages.en, language: 'fr' } })).toBe('fr-CA');
  expect(localeOfWords({ locale: 'fr-CA', strings: { ...languages.en, language: '?' } })).toBe('en');
});

test('a region keeps its own dates', () => {
  expect(stringsFor('de-AT')).toEqual({ locale: 'de-AT', strings: languages.de });
  expect(stringsFor('EN-gb')).toEqual({ locale: 'EN-gb', strings: languages.en });
});
