import { afterEach, expect, it, vi } from 'vitest';
import { browserEnvironment } from '../../src/core/environment';

afterEach(() => vi.unstubAllGlobals());

it('a timer that is longer than a browser can hold is as long as one can be, and does not run at once', () => {
  const set = vi.fn();
  vi.stubGlobal('setTimeout', set);
  const { setTimeout } = browserEnvironment();
  for (const ms of [0, 20_000, 2 ** 31 - 1, 2 ** 31, 1e15, Infinity]) setTimeout(() => {}, ms);
  expect(set.mock.calls.map(([, ms]) => ms as number)).toEqual([0, 20_000, ...Array<number>(4).fill(2 ** 31 - 1)]);
});

it("its origin is the page's own, whatever its location says", () => {
  vi.stubGlobal('location', { origin: 'https://frame.example' });
  vi.stubGlobal('origin', 'null');
  expect(browserEnvironment().origin).toBe('null');
  vi.stubGlobal('location', { origin: 'null' });
  vi.stubGlobal('origin', 'https://page.example');
  expect(browserEnvironment().origin).toBe('https://page.example');
  vi.unstubAllGlobals();
  expect(browserEnvironment().origin).toBe('');
});
