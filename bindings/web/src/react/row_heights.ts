// Where each row of the thread lies, though only few of them are rendered: measured heights where a row has been on the
// screen, estimates for the rest. Pure; viewport.ts measures the document.

export interface RowRange {
  /** Index of the first rendered row. */
  readonly start: number;
  /** Index after the last one. */
  readonly end: number;
}

export class RowHeights {
  #keys: readonly string[] = [];
  #index = new Map<string, number>();
  #measured = new Map<string, number>();
  #estimated = new Map<string, number>();
  #estimate: ((index: number) => number) | null = null;
  /** Row i begins at #tops[i]; the entry after the last row is the height of all. */
  #tops = new Float64Array(1);

  get count(): number {
    return this.#keys.length;
  }

  get total(): number {
    return this.#tops[this.count]!;
  }

  key(index: number): string | undefined {
    return this.#keys[index];
  }

  /** -1 for a row that is not there. */
  indexOf(key: string): number {
    return this.#index.get(key) ?? -1;
  }

  top(index: number): number {
    return this.#tops[Math.min(Math.max(index, 0), this.count)]!;
  }

  /** The row at this distance from the top of the first one; the nearest where there is none. */
  at(distance: number): number {
    let low = 0;
    let high = Math.max(this.count - 1, 0);
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#tops[middle]! <= distance) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** The rows as they are now. What was measured or estimated before is remembered by key. */
  setRows(keys: readonly string[], estimate: (index: number) => number): void {
    this.#keys = keys;
    this.#estimate = estimate;
    this.#index = new Map(keys.map((key, i) => [key, i]));
    this.#tops = new Float64Array(keys.length + 1);
    keys.forEach((key, i) => {
      let height = this.#measured.get(key) ?? this.#estimated.get(key);
      if (height === undefined) this.#estimated.set(key, (height = estimate(i)));
      this.#tops[i + 1] = this.#tops[i]! + height;
    });
  }

  /** The heights of the rows from `start` on, as they are on the screen. */
  measure(start: number, heights: readonly number[]): void {
    const tops = this.#tops;
    let before = tops[start]!;
    let now = before;
    let i = start;
    for (const height of heights) {
      const key = this.#keys[i];
      if (key === undefined) break;
      this.#measured.set(key, height);
      before = tops[++i]!;
      tops[i] = now += height;
    }
    const shift = now - before;
    if (shift !== 0) while (++i < tops.length) tops[i]! += shift;
  }

  /** Forgets all heights: at another width, texts wrap differently. */
  forget(): void {
    this.#measured.clear();
    this.#estimated.clear();
    if (this.#estimate) this.setRows(this.#keys, this.#estimate);
  }

  /** The rows to render so that everything from `top` to `bottom` is there, and `overscan` more on both sides. A present
   * range is kept while it has at least half of that. Never more than `limit` rows: those in the middle. */
  range(present: RowRange, top: number, bottom: number, overscan: number, limit: number): RowRange {
    const reach = (more: number): RowRange => {
      const start = this.at(top - more);
      const end = Math.min(this.at(bottom + more) + 1, this.count);
      if (end - start <= limit) return { start, end };
      const first = Math.max(start, Math.min(this.at((top + bottom) / 2) - (limit >> 1), end - limit));
      return { start: first, end: first + limit };
    };
    const least = reach(overscan / 2);
    const isEnough = present.start <= least.start && present.end >= least.end && present.end <= this.count;
    if (isEnough && present.end - present.start <= limit) return present;
    const next = reach(overscan);
    return next.start === present.start && next.end === present.end ? present : next;
  }
}

export interface RowShape {
  /** The message's text. */
  readonly content: string;
  readonly hasImage: boolean;
  readonly hasDivider: boolean;
  readonly isFirstInGroup: boolean;
  readonly hasReactions: boolean;
}

/** The height of a row that was never rendered, in a list of this width, by the measures of thread.css; right within a line
 * for most. */
export function estimatedHeight(row: RowShape, width: number): number {
  // 75 % of the list inside its padding, less the bubble's; a letter of 17 px text is about 8.2 px wide.
  const lettersPerLine = Math.max(8, Math.floor(((width - 24) * 0.75 - 24) / 8.2));
  let lines = 0;
  for (const line of row.content.split('\n')) lines += Math.max(1, Math.ceil(line.length / lettersPerLine));
  const isText = row.content !== '' || !row.hasImage;
  return (
    (isText ? 12 + 22 * lines : 0) +
    (row.hasImage ? 180 : 0) +
    (row.hasDivider ? 50 : row.isFirstInGroup ? 8 : 2) +
    (row.hasReactions ? 31 : 0)
  );
}
