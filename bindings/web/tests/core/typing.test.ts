import { beforeEach, describe, expect, it } from 'vitest';
import { Typing } from '../../src/core/typing';
import { Clock, fakeEnvironment, seeded } from './world';

describe('typing', () => {
  let clock: Clock;
  let start: number;
  let isConnected: boolean;
  let frames: [at: number, isTyping: boolean][];
  let changes: boolean[];
  let typing: Typing;

  beforeEach(() => {
    clock = new Clock();
    start = clock.now;
    isConnected = true;
    frames = [];
    changes = [];
    typing = new Typing(
      fakeEnvironment(clock, seeded(1), {}),
      (isTyping) => {
        if (isConnected) frames.push([clock.now - start, isTyping]);
        return isConnected;
      },
      (isTyping) => changes.push(isTyping),
    );
  });

  it('is told at once, and its end after 2 s of silence', async () => {
    typing.typed();
    expect(frames).toEqual([[0, true]]);
    await clock.advance(60_000);
    expect(frames).toEqual([
      [0, true],
      [2000, false],
    ]);
    expect(changes).toEqual([true, false]);
    expect(clock.pending).toBe(0);
  });

  it('is told again every 2 s while it goes on', async () => {
    for (let i = 0; i < 70; i += 1) {
      typing.typed();
      await clock.advance(100);
    }
    expect(frames).toEqual([
      [0, true],
      [2000, true],
      [4000, true],
      [6000, true],
    ]);
    await clock.advance(10_000);
    expect(frames.at(-1)).toEqual([8900, false]);
    expect(frames).toHaveLength(6);
  });

  it('ends at once when the text is sent or left', async () => {
    typing.typed();
    await clock.advance(700);
    typing.stop();
    typing.stop();
    await clock.advance(60_000);
    expect(frames).toEqual([
      [0, true],
      [700, false],
    ]);
  });

  it('makes at most four frames a second, and the last one is the truth', async () => {
    for (let i = 0; i < 100; i += 1) {
      typing.typed();
      await clock.advance(10);
      if (i % 3 === 0) typing.stop();
      await clock.advance(10);
    }
    typing.stop();
    await clock.advance(5000);
    for (let i = 1; i < frames.length; i += 1) expect(frames[i]![0] - frames[i - 1]![0]).toBeGreaterThanOrEqual(250);
    expect(frames.at(-1)![1]).toBe(false);
  });

  it('that began and ended within a quarter of a second of the last frame is not told at all', async () => {
    typing.typed();
    await clock.advance(300);
    typing.stop();
    await clock.advance(10);
    typing.typed();
    await clock.advance(10);
    typing.stop();
    await clock.advance(5000);
    expect(frames).toEqual([
      [0, true],
      [300, false],
    ]);
  });

  it('a new socket is told what goes on, and nothing when nothing does', async () => {
    isConnected = false;
    typing.typed();
    await clock.advance(1000);
    isConnected = true;
    typing.restart();
    expect(frames).toEqual([[1000, true]]);
    typing.stop();
    await clock.advance(1000);
    typing.restart();
    expect(frames).toEqual([
      [1000, true],
      [1250, false],
    ]);
  });

  it('a clock that was set back does not silence it', async () => {
    typing.typed();
    typing.stop();
    await clock.advance(1000);
    clock.now -= 3_600_000;
    typing.typed();
    await clock.advance(250);
    expect(frames.at(-1)![1]).toBe(true);
  });
});
