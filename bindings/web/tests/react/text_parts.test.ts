import { beforeAll, describe, expect, test } from 'vitest';
import type { LinkifyIt } from 'linkify-it';
import { attachmentHref, codePoints, isJumbo, loadLinkFinder, mayHaveLink, textParts } from '../../src/react/text_parts';

let finder: LinkifyIt;
beforeAll(async () => {
  finder = await loadLinkFinder();
});
const hrefs = (content: string) => textParts(content, finder).flatMap(({ href }) => href ?? []);

describe('links', () => {
  test.each([
    ['See https://example.com/a?b=1#c.', 'https://example.com/a?b=1#c'],
    ['http://example.com', 'http://example.com'],
    ['HTTPS://EXAMPLE.COM/x', 'HTTPS://EXAMPLE.COM/x'],
    ['at example.com today', 'https://example.com'],
    ['(www.example.org)', 'https://www.example.org'],
    ['mail ann@example.com', 'mailto:ann@example.com'],
    ['mailto:ann@example.com', 'mailto:ann@example.com'],
    ['https://münchen.example/straße', 'https://münchen.example/straße'],
  ])('%s leads to %s', (content, href) => {
    expect(mayHaveLink(content)).toBe(true);
    expect(hrefs(content)).toEqual([href]);
  });

  test.each([
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'java\tscript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:msgbox(1)',
    'file:///etc/passwd',
    'ftp://example.com/x',
    '//example.com/x',
    'blob:https://example.com/1',
    'view-source:javascript:alert(1)',
    'skype:ann?call',
    'intent://scan/#Intent;scheme=zxing;end',
    '&#106;avascript:alert(1)',
    '\u0001javascript:alert(1)',
  ])('%j gives no link of its scheme', (content) => {
    for (const href of hrefs(content)) expect(new URL(href).protocol).toMatch(/^(https?|mailto):$/);
    expect(hrefs(content).join()).not.toMatch(/script|data:|file:|ftp:|intent:|skype:|blob:/i);
  });

  test('the parts together are the text, whatever is in it', () => {
    for (const content of [
      '<img src=x onerror=alert(1)> https://a.example/<b> and "https://b.example/\'onclick=1" end',
      'a https://x.example, b http://y.example/(z) c',
      '\u202ehttps://example.com\u202c',
      'no links, e.g. none at 10.30 or 3.5',
      '',
    ]) {
      expect(
        textParts(content, finder)
          .map(({ text }) => text)
          .join(''),
      ).toBe(content);
    }
  });

  test('without the finder the text is one part', () => {
    expect(textParts('see https://example.com', null)).toEqual([{ text: 'see https://example.com', href: null }]);
  });

  test('ordinary sentences do not load the finder', () => {
    for (const content of ['Hello', 'Yes. And you? No…', 'See you at 10 : fine', '']) expect(mayHaveLink(content)).toBe(false);
  });

  test('10,000 characters made to be slow are searched within a second', () => {
    for (const piece of ['a.', 'http://', '((((', 'a@', '1.1.', 'x://x.']) {
      const started = performance.now();
      textParts(piece.repeat(10_000 / piece.length), finder);
      expect(performance.now() - started).toBeLessThan(1_000);
    }
  });
});

describe('attachments', () => {
  test.each([
    ['https://files.example/a.png', 'https://files.example/a.png'],
    ['http://files.example/a%20b.pdf', 'http://files.example/a%20b.pdf'],
    ['/files/a.png', '/files/a.png'],
  ])('%s is linked', (url, href) => {
    expect(attachmentHref(url)).toBe(href);
  });

  test('a path belongs to the server', () => {
    expect(attachmentHref('/files/a.png', 'https://chat.example')).toBe('https://chat.example/files/a.png');
    expect(attachmentHref('https://files.example/a.png', 'https://chat.example')).toBe('https://files.example/a.png');
    expect(attachmentHref('/files/a.png', 'https://site.example/chat')).toBe('https://site.example/files/a.png');
    expect(attachmentHref('/files/a.png', '/chat')).toBe('/files/a.png');
  });

  test.each([
    null,
    '',
    'javascript:alert(1)',
    'JAVASCRIPT:alert(1)',
    ' javascript:alert(1)',
    'java\nscript:alert(1)',
    '\u0000javascript:alert(1)',
    'javascript&colon;alert(1)',
    'data:image/svg+xml,<svg onload=alert(1)>',
    'vbscript:x',
    'file:///etc/passwd',
    'blob:https://example.com/1',
    '//evil.example/a.png',
    '/\\evil.example/a.png',
    '\\\\evil.example\\a.png',
    '/\t/evil.example/a.png',
    'https://user:password@files.example/a.png',
    'files/a.png',
    'https:',
    '/a b.png',
    '/a\u0085.png',
  ])('%j is not', (url) => {
    expect(attachmentHref(url, 'https://chat.example')).toBeNull();
  });
});

describe('large emoji', () => {
  test.each(['❤️', '👍🏽', '😂😮😢', '👩‍👩‍👧‍👦', '🇵🇹', '🏴󠁧󠁢󠁳󠁣󠁴󠁿', ' 🎉 🎉 ', '1️⃣', '👨🏿‍🚀👨🏿‍🚀👨🏿‍🚀'])('%s is large', (content) => {
    expect(isJumbo(content)).toBe(true);
  });

  test.each([
    '\u2764',
    '\u263a',
    '\u2708',
    '\u2764\u2764\u2764',
    '\u2600 \u{1f321}',
    '\u261d\u{1f3fd}',
    '1\u20e3',
    '\u2764\u200d\u{1f525}',
    '\u{1f469}\u200d\u2708',
    '\u{1f3f3}\u200d\u{1f308}',
  ])('%s is large also without U+FE0F', (content) => {
    expect(content).not.toContain('\ufe0f');
    expect(isJumbo(content)).toBe(true);
  });

  test.each(['\u2764\ufe0e', '\u2705\ufe0e', '\u00a9', '\u2122', '\u2192', '\u2194', '\u25b6'])(
    '%s is text',
    (content) => {
      expect(isJumbo(content)).toBe(false);
    },
  );

  test.each(['', '   ', '😂😂😂😂', 'ok 👍', '1', '123', '#', '©', 'a', '❤️!', '🇵', '\u200d', '\ufe0f'])('%j is not', (content) => {
    expect(isJumbo(content)).toBe(false);
  });
});

test('length is counted in code points', () => {
  expect(codePoints('abc')).toBe(3);
  expect(codePoints('😀😀')).toBe(2);
  expect(codePoints('👩‍👩‍👧‍👦')).toBe(7);
  expect(codePoints('\ud83d')).toBe(1);
  expect(codePoints('\ude00\ud83d')).toBe(2);
});
