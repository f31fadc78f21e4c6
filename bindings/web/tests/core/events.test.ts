import { describe, expect, expectTypeOf, it } from 'vitest';
import vectors from '../../../../tests/vectors/events.json';
import type { ClientFrame } from '../../src/core/events';
import { encodeFrame, parseServerEvent } from '../../src/core/events';
import type { EMOJI, Emoji } from '../../src/core/types';

describe('events of the server', () => {
  it.each(vectors.events)('$description', ({ json }) => {
    expect(parseServerEvent(JSON.stringify(json))).toEqual(json);
  });

  it('a picker has every emoji of the wire', () => {
    expectTypeOf<(typeof EMOJI)[number]>().toEqualTypeOf<Emoji>();
  });

  it('members that are not known yet are no reason to refuse an event', () => {
    const event = { type: 'caught_up', rev: 3, later: { x: [1] } };
    expect(parseServerEvent(JSON.stringify(event))).toMatchObject({ type: 'caught_up', rev: 3 });
  });

  it.each(['caught_up', 'resync'])('%s names an epoch, or none on servers from before there were any', (type) => {
    expect(parseServerEvent(JSON.stringify({ type, rev: 3, epoch: 'e1' }))).toEqual({ type, rev: 3, epoch: 'e1' });
    expect(parseServerEvent(JSON.stringify({ type, rev: 3 }))).toEqual({ type, rev: 3 });
    for (const epoch of [null, 7, true, [], {}]) {
      expect(parseServerEvent(JSON.stringify({ type, rev: 3, epoch }))).toBeNull();
    }
  });

  it.each(vectors.laterEvents)('of a later version is its `rev`, if it has one: $description', ({ json, rev }) => {
    expect(parseServerEvent(JSON.stringify(json))).toEqual(rev === null ? null : { type: 'unknown', rev });
  });

  it('of a later version is its `rev` also where the sender alone is not known', () => {
    const { json } = vectors.events.find(({ json }) => json.type === 'new_message')!;
    const event = { ...json, message: { ...(json.message as object), senderType: 'x' } };
    expect(parseServerEvent(JSON.stringify(event))).toEqual({ type: 'unknown', rev: json.rev });
  });

  it('a reaction of somebody in an unknown role, or with an unknown emoji, is kept as it is told', () => {
    const { json } = vectors.events.find(({ json }) => json.type === 'reaction_update')!;
    const [reaction] = json.reactions as object[];
    const event = { ...json, reactions: [{ ...reaction, reactorType: 'assistant', emoji: '\u{1f9ed}' }] };
    expect(parseServerEvent(JSON.stringify(event))).toEqual(event);
  });

  it('a conversation whose last message is by somebody in an unknown role stays in the list', () => {
    const { json } = vectors.events.find(({ json }) => json.type === 'conversation_update' && json.conversation?.lastMessage)!;
    const { conversation } = json;
    const event = { ...json, conversation: { ...conversation, lastMessage: { ...conversation!.lastMessage, senderType: 'x' } } };
    expect(parseServerEvent(JSON.stringify(event))).toEqual(event);
  });

  it.each([
    '',
    ' ',
    '{',
    'null',
    '7',
    '"seen"',
    '[]',
    '[{"type":"seen"}]',
    '{}',
    '{"type":null}',
    '\u0000',
    '{"type":"seen"}x',
  ])('is nothing, and no exception: %j', (text) => {
    expect(parseServerEvent(text)).toBeNull();
  });

  // Every member that the core relies on, made wrong in every way, must make the whole event nothing.
  const wrong: unknown[] = [undefined, null, 'x', -1, 1.5, 2 ** 53, true, [], {}];
  const relied: Record<string, readonly (readonly [path: string, good: (value: unknown) => boolean])[]> = {
    typing: [
      ['advisorTyping', (v) => v === true],
      ['clientTyping', (v) => v === true],
    ],
    new_message: [
      ['rev', () => false],
      ['message', () => false],
      ['message.id', (v) => v === 'x'],
      ['message.seq', () => false],
      ['message.rev', () => false],
      // Any text may be the name of a role of a later version: see `laterEvents`.
      ['message.senderType', (v) => v === 'x'],
      ['message.senderId', (v) => v === 'x'],
      ['message.content', (v) => v === 'x'],
      ['message.createdAt', () => false],
      ['message.reactions', (v) => Array.isArray(v)],
    ],
    reaction_update: [
      ['rev', () => false],
      ['messageId', (v) => v === 'x'],
      ['reactions', (v) => Array.isArray(v)],
    ],
    seen: [
      ['rev', () => false],
      ['seenAt', () => false],
    ],
    read: [
      ['rev', () => false],
      ['readAt', () => false],
    ],
    caught_up: [['rev', () => false]],
    resync: [['rev', () => false]],
    conversation_update: [
      ['conversation', () => false],
      ['conversation.id', (v) => v === 'x'],
      ['conversation.clientId', (v) => v === 'x'],
      ['conversation.unreadCount', (v) => v == null],
    ],
    alive: [['intervalMs', () => false]],
    error: [
      ['code', (v) => v === 'x'],
      ['message', (v) => v === 'x'],
    ],
  };

  it.each(Object.entries(relied))('a malformed %s is nothing', (type, members) => {
    const good = vectors.events.find(({ json }) => json.type === type)!.json;
    for (const [path, isGood] of members) {
      for (const value of wrong.filter((v) => !isGood(v))) {
        const event = structuredClone(good) as unknown as Record<string, unknown>;
        const names = path.split('.');
        const last = names.pop()!;
        const holder = names.reduce((object, name) => object[name] as Record<string, unknown>, event);
        holder[last] = value;
        expect(parseServerEvent(JSON.stringify(event)), `${path} = ${JSON.stringify(value)}`).toBeNull();
      }
    }
  });
});

describe('frames of a client', () => {
  const frames = vectors.clientFrames.filter((vector) => 'frame' in vector) as unknown as {
    description: string;
    text: string;
    frame: ClientFrame;
  }[];

  it.each(frames)('the text means the same as what is sent: $description', ({ text, frame }) => {
    expect(JSON.parse(encodeFrame(frame))).toEqual(frame);
    expect(JSON.parse(text)).toMatchObject({ type: frame.type });
  });

  it('are written as the vectors write them', () => {
    const texts = frames.map(({ text }) => text);
    for (const frame of [
      { type: 'typing', isTyping: true },
      { type: 'typing', isTyping: false },
      { type: 'seen' },
    ] as const) {
      expect(texts).toContain(encodeFrame(frame));
    }
  });
});
