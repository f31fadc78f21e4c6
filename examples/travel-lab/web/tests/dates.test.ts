import { afterEach, describe, expect, test, vi } from 'vitest';
import { dateRange, daysUntil, nights, whenLabel } from '../src/dates';

// Intl separates with thin spaces, which differ between versions of its data.
const plain = (text: string | null) => text?.replace(/[\u2009\u202f]/g, ' ');

describe("a trip's days", () => {
  test('name a month once', () => {
    expect(plain(dateRange('2026-12-02', '2026-12-11', 'en'))).toBe('December 2 – 11, 2026');
  });

  test('name both years across New Year', () => {
    expect(plain(dateRange('2026-12-28', '2027-01-05', 'en'))).toBe('December 28, 2026 – January 5, 2027');
  });

  test('are shown as they are when they are no dates', () => {
    expect(dateRange('soon', 'later', 'en')).toBe('soon – later');
    expect(dateRange('2026-12-11', '2026-12-02', 'en')).toBe('2026-12-11 – 2026-12-02');
    expect(nights('soon', '2026-12-02')).toBeNull();
    expect(whenLabel('soon', 'later', new Date(), 'en')).toBeNull();
  });

  test('have a night less than days, also when the clocks change', () => {
    expect(nights('2027-03-25', '2027-04-02')).toBe(8);
    expect(nights('2026-12-02', '2026-12-02')).toBeNull();
  });
});

describe('how far away a trip is', () => {
  afterEach(() => vi.unstubAllEnvs());

  test.each(['America/Los_Angeles', 'UTC', 'Pacific/Auckland'])("counts from the viewer's own today in %s", (zone) => {
    vi.stubEnv('TZ', zone);
    expect(daysUntil('2026-12-02', new Date(2026, 11, 1, 23, 59))).toBe(1);
    expect(daysUntil('2026-12-02', new Date(2026, 11, 2, 0, 1))).toBe(0);
    expect(daysUntil('2026-12-02', new Date(2026, 11, 3, 0, 1))).toBe(-1);
  });

  test('is said in words, and not at all when the trip is over', () => {
    const at = (day: number) => whenLabel('2026-12-02', '2026-12-11', new Date(2026, 11, day, 12), 'en');
    expect(at(1)).toBe('tomorrow');
    expect(at(2)).toBe('today');
    expect(at(11)).toBe('now');
    expect(at(12)).toBeNull();
    expect(whenLabel('2026-12-02', '2026-12-11', new Date(2026, 10, 23), 'en')).toBe('in 9 days');
  });
});
