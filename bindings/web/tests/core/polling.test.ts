import { beforeEach, describe, expect, it } from 'vitest';
import { ChatError } from '../../src/core/api';
import { Polling } from '../../src/core/polling';
import { Clock, fakeEnvironment, seeded } from './world';

describe('asking by HTTP', () => {
  let clock: Clock;
  let asked: number[];
  let random: number;
  /** Relative to the beginning. */
  let since: number | null;
  let answer: () => Promise<void>;
  let polling: Polling;

  beforeEach(() => {
    clock = new Clock();
    asked = [];
    random = 0.5;
    since = 0;
    answer = () => Promise.resolve();
    const begin = clock.now;
    polling = new Polling(
      fakeEnvironment(clock, seeded(1), { random: () => random }),
      () => (since === null ? null : begin + since),
      () => {
        asked.push((clock.now - begin) / 1000);
        return answer();
      },
    );
    polling.schedule();
  });

  it('begins when there has been no socket for a while, and goes on every 20 s', async () => {
    await clock.advance(100_000);
    expect(asked).toEqual([20, 40, 60, 80, 100]);
  });

  it('is spread over 15 to 25 s, so that the pages of a restarted server do not ask at once', async () => {
    random = 0;
    await clock.advance(20_000);
    random = 0.999_999_999;
    await clock.advance(36_000);
    expect(asked.map(Math.round)).toEqual([20, 35]);
    await clock.advance(20_000);
    expect(asked.map(Math.round)).toEqual([20, 35, 60]);
  });

  it('does not begin while a socket is believed, and ends with one', async () => {
    since = 1_000_000;
    polling.schedule();
    await clock.advance(300_000);
    expect(asked).toEqual([]);
    since = 300_000;
    polling.schedule();
    await clock.advance(30_000);
    expect(asked).toEqual([320]);
    // A socket was heard; only `silentSince` says so.
    since = 400_000;
    await clock.advance(60_000);
    expect(asked).toEqual([320]);
    since = null;
    polling.schedule();
    expect(clock.pending).toBe(0);
  });

  it('is rarer after each failure, and as before once it works', async () => {
    answer = () => Promise.reject(new Error('no network'));
    await clock.advance(320_000);
    expect(asked).toEqual([20, 60, 140, 300]);
    answer = () => Promise.resolve();
    await clock.advance(200_000);
    expect(asked).toEqual([20, 60, 140, 300, 460, 480, 500, 520]);
  });

  it('waits at least as long as the server asks for', async () => {
    answer = () => Promise.reject(new ChatError('rate_limited', 429, 'Slowly.', 90_000));
    await clock.advance(20_000);
    answer = () => Promise.resolve();
    await clock.advance(110_000);
    expect(asked).toEqual([20, 110, 130]);
  });

  it('is rare where nobody looks, and catches up at once for who looks again', async () => {
    polling.onPageEvent('hidden');
    await clock.advance(250_000);
    expect(asked).toEqual([120, 240]);
    await clock.advance(50_000);
    polling.onPageEvent('visible');
    await clock.advance(1000);
    expect(asked).toEqual([120, 240, 300]);
    // Hiding and showing the page causes no request each time.
    polling.onPageEvent('hidden');
    polling.onPageEvent('visible');
    await clock.advance(1000);
    expect(asked).toEqual([120, 240, 300]);
  });

  it('asks nobody without a network', async () => {
    polling.onPageEvent('offline');
    await clock.advance(300_000);
    expect(asked).toEqual([]);
    expect(clock.pending).toBe(0);
    polling.onPageEvent('online');
    await clock.advance(0);
    expect(asked).toEqual([300]);
  });

  it('is one question at a time, and counts from its answer', async () => {
    let land = (): void => {};
    answer = () => new Promise((done) => (land = done));
    await clock.advance(90_000);
    polling.schedule();
    polling.onPageEvent('visible');
    await clock.advance(0);
    expect(asked).toEqual([20]);
    land();
    await clock.advance(19_999);
    expect(asked).toEqual([20]);
    await clock.advance(1);
    expect(asked).toEqual([20, 110]);
  });

  it('counts what was asked for another reason', async () => {
    await clock.advance(15_000);
    polling.recordPoll();
    await clock.advance(19_999);
    expect(asked).toEqual([]);
    await clock.advance(1);
    expect(asked).toEqual([35]);
  });
});
