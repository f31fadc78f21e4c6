import { afterEach, expect, test, vi } from 'vitest';

afterEach(() => vi.unstubAllGlobals());

test.each([
  ['en-GB', 'en-GB'],
  ['EN-au', 'EN-au'],
  ['en-001', 'en-001'],
  ['en', 'en'],
  ['en-US@posix', 'en-US'],
  ['en-GB.UTF-8', 'en-GB'],
  ['en-GB-UK', 'en-GB'],
  ['en-', 'en'],
  ['en_US', 'en'],
  ['enx', 'en'],
  ['de-DE', 'en'],
  ['C', 'en'],
  ['', 'en'],
  [undefined, 'en'],
])('a browser that speaks %j gets its dates as in %s', async (language, expected) => {
  vi.resetModules();
  vi.stubGlobal('navigator', { language });
  const { locale } = await import('../src/parts/locale');
  expect(locale).toBe(expected);
  expect(() => new Intl.DateTimeFormat(locale)).not.toThrow();
});
