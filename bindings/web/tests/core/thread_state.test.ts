import { describe, expect, it } from 'vitest';
import type { ChatEvent } from '../../src/core/events';
import type { Message, Participant } from '../../src/core/types';
import type { ThreadState } from '../../src/core/thread_state';
import * as states from '../../src/core/thread_state';
import { Clock, ModelServer } from './world';

const ME = { type: 'client', id: 'cli', name: 'Kim' } as const;
const ADVISOR: Participant = { type: 'advisor', id: 'adv' };
const IDLE = { phase: 'idle', attempt: 0, downSince: null, reason: null } as const;

/** Every way to put `b` between `a`, each in its own order. */
function interleavings<T>(a: readonly T[], b: readonly T[]): T[][] {
  if (a.length === 0) return [[...b]];
  if (b.length === 0) return [[...a]];
  return [
    ...interleavings(a.slice(1), b).map((rest) => [a[0]!, ...rest]),
    ...interleavings(a, b.slice(1)).map((rest) => [b[0]!, ...rest]),
  ];
}

type Step = (state: ThreadState) => ThreadState;

const snapshot = (state: ThreadState): unknown => states.toSnapshot({ ...state, eventsDuringLoad: null }, IDLE, false, null);

describe('whatever the order of arrival, the rows are the same', () => {
  const server = new ModelServer(new Clock());
  server.join = () => {
    throw new Error('no sockets here');
  };
  const live: ChatEvent[] = [];
  // A socket that hears everything.
  server.members.add({ socket: null!, who: ADVISOR, queue: live as object[], isTyping: false });

  const history = server.send(ADVISOR, 'history', null)!.message;
  live.length = 0;
  const mine = server.send(ME, 'mine', 'key-1')!.message;
  server.react(ADVISOR, mine.id, '👍');
  const theirs = server.send(ADVISOR, 'theirs', null)!.message;
  server.mark(ME);
  server.mark(ADVISOR);
  const repeated = server.send(ME, 'mine', 'key-1')!.message;
  const second = server.send(ME, 'mine too', 'key-2')!.message;
  const truth = server.messages;

  const entry = (key: string, content: string) =>
    ({ order: 1, scope: '', key, content, createdAt: history.createdAt, failure: null }) as const;
  const start = states.setPending(states.applyNewest(states.initialThread('c', ME), [history], false, null), [
    entry('key-1', 'mine'),
    entry('key-2', 'mine too'),
  ])[0];

  const events: Step[] = live.map((event) => (state) => states.applyEvent(state, event));
  const answers: Step[] = [mine, repeated, second].map((message) => (state) => states.applyStored(state, message));
  const expected = { rows: truth, keys: [history.id, 'key-1', theirs.id, 'key-2'] };

  const check = (state: ThreadState): void => {
    expect(state.rows.map(({ message }) => message)).toEqual(expected.rows);
    expect(state.rows.map(({ key }) => key)).toEqual(expected.keys);
    expect(state.pending).toEqual([]);
    expect(snapshot(state)).toMatchObject({ unseenCount: 0, firstUnseenSeq: null, seen: null });
  };

  it('answers among events', () => {
    const all = interleavings(events, answers);
    expect(all.length).toBe(84);
    for (const steps of all) check(steps.reduce((state, step) => step(state), start));
  });

  it('every event once more, at any later time', () => {
    for (let repeat = 0; repeat < events.length; repeat += 1) {
      for (let later = repeat; later <= events.length; later += 1) {
        const steps = events.toSpliced(later, 0, ...events.slice(0, repeat + 1));
        check(steps.reduce((state, step) => step(state), start));
      }
    }
  });

  it('a replay, in which messages are as they are now, from anywhere and any number of times', () => {
    const replay: Step[] = live.map((event) => (state) => {
      const now: ChatEvent =
        event.type === 'new_message'
          ? { ...event, message: truth.find(({ id }) => id === event.message.id)! }
          : event.type === 'reaction_update'
            ? { ...event, reactions: truth.find(({ id }) => id === event.messageId)!.reactions }
            : event;
      return states.applyEvent(state, now);
    });
    for (let eventsDuringLoad = 0; eventsDuringLoad <= events.length; eventsDuringLoad += 1) {
      const before = events.slice(0, eventsDuringLoad).reduce((state, step) => step(state), start);
      const after = replay.slice(eventsDuringLoad).reduce((state, step) => step(state), before);
      check(after);
      check(replay.slice(eventsDuringLoad).reduce((state, step) => step(state), after));
    }
  });

  it('a page that is asked for, read and delivered at any time among the events', () => {
    // What the server had after each event.
    const versions: (readonly Message[])[] = [[history]];
    let state = states.applyNewest(states.initialThread('c', ME), [history], false, null);
    for (const event of live) {
      state = states.applyEvent(state, event);
      versions.push(state.rows.map(({ message }) => message));
    }
    let count = 0;
    for (let asked = 0; asked <= live.length; asked += 1) {
      for (let read = asked; read <= live.length; read += 1) {
        for (let delivered = read; delivered <= live.length; delivered += 1) {
          let next = start;
          for (let i = 0; i <= live.length; i += 1) {
            if (i === asked) next = states.awaitPage(next, false);
            if (i === delivered) next = states.applyNewest(next, versions[read]!, false, next.rev);
            if (i < live.length) next = events[i]!(next);
          }
          check(next);
          count += 1;
        }
      }
    }
    expect(count).toBeGreaterThan(80);
  });

  it('a reaction that is wanted stands over all of it, and its event ends it', () => {
    const toggled = states.toggleReaction(start, history.id, '😮', history.createdAt)!;
    expect(toggled[1]).toBe(true);
    const asked = states.askReaction(toggled[0], history.id, false);
    const emojis = (state: ThreadState): string[] => state.rows[0]!.message.reactions.map(({ emoji }) => emoji);
    const after = events.reduce((state, step) => {
      expect(emojis(state)).toEqual(['😮']);
      return step(state);
    }, asked);
    const reaction = { ...states.toggleReaction(after, history.id, '😮', '')![0].rows[0]!.message.reactions[0]! };
    const own = {
      ...reaction,
      id: 'r1',
      messageId: history.id,
      reactorType: 'client',
      reactorId: 'cli',
      emoji: '😮',
    } as const;
    const told = states.applyEvent(after, {
      type: 'reaction_update',
      messageId: history.id,
      reactions: [own],
      rev: server.rev + 1,
    });
    expect(told.wanted.size).toBe(0);
    expect(told.rows[0]!.message.reactions).toEqual([own]);
    expect(told.rows[0]!.message.seenAt).toBe(truth[0]!.seenAt);
  });
});

it('a message from above the loaded pages, which an answer tells, takes no row: it comes with its page', () => {
  const server = new ModelServer(new Clock());
  const mine = server.send(ME, 'mine', 'key-1')!.message;
  const { message } = server.send(ADVISOR, 'newest', null)!;
  const entry = { order: 1, scope: '', key: 'key-1', content: 'mine', createdAt: mine.createdAt, failure: null };
  const page = states.applyNewest(states.initialThread('c', ME), [message], true, null);
  const waiting = states.setPending(page, [entry])[0];
  expect(waiting.pending).toHaveLength(1);
  const stored = states.applyStored(waiting, mine);
  expect(stored.rows).toBe(page.rows);
  expect(stored.pending).toEqual([]);
  const older = states.applyOlder(waiting, [mine], false);
  expect(older.rows.map(({ key }) => key)).toEqual(['key-1', message.id]);
  expect(older.pending).toEqual([]);
});

it('a step that changes nothing gives the same rows', () => {
  const server = new ModelServer(new Clock());
  const { message } = server.send(ADVISOR, 'a', null)!;
  const state = states.applyNewest(states.initialThread('c', ME), [message], false, null);
  const same: ChatEvent[] = [
    { type: 'new_message', message, rev: 1 },
    { type: 'read', readAt: message.createdAt, rev: 2 },
    { type: 'seen', seenAt: message.createdAt, rev: 1 },
    { type: 'reaction_update', messageId: message.id, reactions: [], rev: 1 },
    { type: 'reaction_update', messageId: 'unknown', reactions: [], rev: 9 },
  ];
  for (const event of same) expect(states.applyEvent(state, event).rows).toBe(state.rows);
  expect(states.applyStored(state, message)).toBe(state);
});
