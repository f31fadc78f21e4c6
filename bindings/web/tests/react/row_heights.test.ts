import { describe, expect, test } from 'vitest';
import { estimatedHeight, RowHeights } from '../../src/react/row_heights';

const keysOf = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `m${from + i}`);

function heightsOf(count: number, height = 40): RowHeights {
  const heights = new RowHeights();
  heights.setRows(keysOf(0, count), () => height);
  return heights;
}

describe('positions', () => {
  test('a row begins where the ones above it end', () => {
    const heights = new RowHeights();
    heights.setRows(['a', 'b', 'c'], (i) => [10, 20, 30][i]!);
    expect([0, 1, 2, 3].map((i) => heights.top(i))).toEqual([0, 10, 30, 60]);
    expect(heights.total).toBe(60);
  });

  test('what is measured takes the place of what was estimated, and moves what is below', () => {
    const heights = heightsOf(5);
    heights.measure(1, [50, 30]);
    expect([0, 1, 2, 3, 4, 5].map((i) => heights.top(i))).toEqual([0, 40, 90, 120, 160, 200]);
    heights.measure(1, [100]);
    expect(heights.total).toBe(250);
  });

  test('measured heights stay with their rows when a page comes above them', () => {
    const heights = heightsOf(3);
    heights.measure(0, [11, 22, 33]);
    heights.setRows([...keysOf(100, 150), 'm0', 'm1', 'm2'], () => 40);
    expect(heights.top(50)).toBe(2_000);
    expect(heights.top(52) - heights.top(51)).toBe(22);
    expect(heights.total).toBe(2_066);
  });

  test('a row is estimated once', () => {
    const heights = heightsOf(3);
    const asked: number[] = [];
    heights.setRows([...keysOf(0, 3), 'new'], (i) => asked.push(i));
    expect(asked).toEqual([3]);
  });

  test('at another width everything is estimated anew', () => {
    const heights = new RowHeights();
    let height = 10;
    heights.setRows(['a', 'b'], () => height);
    heights.measure(0, [99]);
    height = 7;
    heights.forget();
    expect(heights.total).toBe(14);
  });

  test('the row at a distance is the one that covers it, at the ends the outermost', () => {
    const heights = heightsOf(10);
    expect([-50, 0, 39, 40, 399, 400, 9_999].map((distance) => heights.at(distance))).toEqual([0, 0, 0, 1, 9, 9, 9]);
    expect(new RowHeights().at(5)).toBe(0);
  });

  test('a row that is not there has no index', () => {
    expect(heightsOf(2).indexOf('m1')).toBe(1);
    expect(heightsOf(2).indexOf('other')).toBe(-1);
  });
});

describe('the rendered range', () => {
  const none = { start: 0, end: 0 };

  test('covers what is in view and the overscan', () => {
    expect(heightsOf(1_000).range(none, 4_000, 4_800, 400, 120)).toEqual({ start: 90, end: 131 });
  });

  test('ends with the rows', () => {
    expect(heightsOf(1_000).range(none, 39_200, 40_000, 400, 120)).toEqual({ start: 970, end: 1_000 });
    expect(heightsOf(1_000).range(none, 0, 800, 400, 120)).toEqual({ start: 0, end: 31 });
    expect(heightsOf(3).range(none, 0, 800, 400, 120)).toEqual({ start: 0, end: 3 });
    expect(new RowHeights().range(none, 0, 800, 400, 120)).toBe(none);
  });

  test('stays the same object while half of the overscan is left', () => {
    const heights = heightsOf(1_000);
    const present = heights.range(none, 4_000, 4_800, 400, 120);
    expect(heights.range(present, 4_150, 4_950, 400, 120)).toBe(present);
    expect(heights.range(present, 4_250, 5_050, 400, 120)).not.toBe(present);
  });

  test('never has more rows than the limit, and keeps those in the middle', () => {
    const range = heightsOf(5_000, 4).range(none, 10_000, 10_800, 800, 120);
    expect(range.end - range.start).toBe(120);
    expect(range.start).toBeLessThan(2_600);
    expect(range.end).toBeGreaterThan(2_600);
  });

  test('a range with too many rows is cut', () => {
    const heights = heightsOf(1_000);
    expect(heights.range({ start: 0, end: 1_000 }, 4_000, 4_800, 400, 120)).toEqual({ start: 90, end: 131 });
  });
});

describe('estimates', () => {
  const row = { content: 'Hi', hasImage: false, hasDivider: false, isFirstInGroup: false, hasReactions: false };

  test('one line in a group is 36 px, as it is rendered', () => {
    expect(estimatedHeight(row, 390)).toBe(36);
  });

  test('more text, narrower lists, dividers, pictures and reactions take more', () => {
    const long = { ...row, content: 'word '.repeat(60) };
    expect(estimatedHeight(long, 390)).toBeGreaterThan(estimatedHeight(long, 900));
    expect(estimatedHeight({ ...row, content: 'a\nb\nc' }, 390)).toBe(80);
    for (const more of [{ hasDivider: true }, { isFirstInGroup: true }, { hasImage: true }, { hasReactions: true }]) {
      expect(estimatedHeight({ ...row, ...more }, 390)).toBeGreaterThan(36);
    }
  });
});
