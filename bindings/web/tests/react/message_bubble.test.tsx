import { act } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ThreadRow } from '../../src/core/model';
import type { Message, Reaction } from '../../src/core/types';
import { ChatProvider } from '../../src/react/context';
import { MessageBubble, type MessageActions, type MessageBubbleProps } from '../../src/react/message_bubble';
import { loadLinkFinder } from '../../src/react/text_parts';
import { nullsOfMessage } from '../../src/core/wire';

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

const me = { type: 'advisor', id: 'advisor-1' } as const;

const message = (changes: Partial<Message> = {}): Message => ({
  ...nullsOfMessage,
  id: 'message-1',
  conversationId: 'conversation-1',
  orgId: 'org-1',
  senderType: 'client',
  senderId: 'client-1',
  senderName: 'María Ortiz',
  content: 'Hello',
  isRead: false,
  createdAt: '2026-11-23T14:34:00.000Z',
  reactions: [],
  seq: 1,
  rev: 1,
  ...changes,
});

const reaction = (emoji: Reaction['emoji'], by: 'me' | 'Bea' | 'María'): Reaction => ({
  id: `${emoji}-${by}`,
  messageId: 'message-1',
  conversationId: 'conversation-1',
  orgId: 'org-1',
  reactorType: by === 'María' ? 'client' : 'advisor',
  reactorId: by === 'me' ? me.id : by,
  reactorName: by === 'me' ? 'Ann' : by,
  emoji,
  createdAt: '2026-11-23T14:35:00.000Z',
});

let box: HTMLElement;
let root: Root;
let actions: { [K in keyof MessageActions]: ReturnType<typeof vi.fn> };

beforeEach(() => {
  box = document.createElement('div');
  document.body.append(box);
  root = createRoot(box);
  actions = { onReact: vi.fn(), onRetry: vi.fn(), onDiscard: vi.fn() };
});

afterEach(() => {
  act(() => root.unmount());
  box.remove();
});

async function render(row: Partial<ThreadRow> = {}, props: Partial<MessageBubbleProps> = {}): Promise<void> {
  const whole: ThreadRow = { key: 'k1', message: message(), isOwn: false, status: 'sent', failure: null, ...row };
  await act(async () =>
    root.render(
      <ChatProvider locale="en-US">
        <MessageBubble
          row={whole}
          me={me}
          isFirstInGroup
          isLastInGroup
          avatarUrl={null}
          picker="closed"
          isTabStop={false}
          isActive={false}
          actions={actions as unknown as MessageActions}
          {...props}
        />
      </ChatProvider>,
    ),
  );
}

// The rendering began to load the finder before this does.
const linksFound = () => act(async () => void (await loadLinkFinder()));
const find = <E extends HTMLElement>(selector: string) => box.querySelector<E>(selector);
const all = (selector: string) => [...box.querySelectorAll<HTMLElement>(selector)];

describe('what a row says about itself', () => {
  test('key, seq, side, state and place in its group', async () => {
    await render({ key: 'k7', message: message({ seq: 7 }) }, { isFirstInGroup: false });
    expect({ ...find('[data-message-key]')!.dataset }).toEqual({
      messageKey: 'k7',
      seq: '7',
      own: 'false',
      status: 'sent',
      first: 'false',
      last: 'true',
    });
  });

  test('who, what and when, for those who hear it', async () => {
    await render({ message: message({ reactions: [reaction('❤️', 'Bea'), reaction('❤️', 'me')] }) });
    expect(find('[role=article]')!.getAttribute('aria-label')).toMatch(/^María Ortiz: Hello, .*\d:34.*, Heart, Bea and you$/);
  });

  test('the exact time in a time element', async () => {
    await render();
    expect(find<HTMLTimeElement>('time')!.dateTime).toBe('2026-11-23T14:34:00.000Z');
    expect(find('time')!.title).toMatch(/2026.*\d:34:00/);
  });
});

describe('sides', () => {
  test('the other side has its picture once a group, and its room in every row', async () => {
    await render();
    expect(find('.tc-avatar')).not.toBeNull();
    await render({}, { isFirstInGroup: false });
    expect(find('.tc-avatar')).toBeNull();
    expect(find('.tc-avatar-place')).not.toBeNull();
  });

  test('the own side has neither', async () => {
    await render({ isOwn: true });
    expect(find('.tc-avatar-place')).toBeNull();
  });

  test('the direction belongs to the text, not to the bubble', async () => {
    await render({ message: message({ content: 'שלום' }) });
    expect(find('.tc-text')!.dir).toBe('auto');
    expect(find('.tc-bubble')!.hasAttribute('dir')).toBe(false);
  });
});

describe('content', () => {
  test.each([
    '<script>alert(1)</script>',
    '<img src=x onerror="alert(1)">',
    '"><svg onload=alert(1)>',
    '{{constructor.constructor("alert(1)")()}}',
    '</textarea><iframe src=javascript:alert(1)>',
    '<a href="javascript:alert(1)">x</a>',
  ])('%s is text, as a message, a name and a file name', async (text) => {
    const attachment = { attachmentUrl: '/files/1', attachmentType: 'text/html', attachmentName: text };
    const reactions = [{ ...reaction('👍', 'María'), reactorName: text }];
    await render({ message: message({ content: text, senderName: text, ...attachment, reactions }) }, { senderLabel: text });
    expect(all('script, img, iframe, [onerror], [onload]')).toEqual([]);
    expect(all('a[href]').map((a) => a.getAttribute('href'))).toEqual(['/files/1']);
    expect(find('.tc-text')!.textContent).toBe(text);
    expect(find('.tc-sender')!.textContent).toBe(text);
    expect(find('.tc-file')!.textContent).toBe(text);
    expect(find('.tc-pill')!.title).toBe(text);
  });

  test('links open apart and tell nothing', async () => {
    await render({ message: message({ content: 'see https://example.com/x and javascript:alert(1)' }) });
    await linksFound();
    const link = find<HTMLAnchorElement>('a')!;
    expect([link.href, link.target, link.rel]).toEqual(['https://example.com/x', '_blank', 'noopener nofollow ugc']);
    expect(find('.tc-text')!.textContent).toBe('see https://example.com/x and javascript:alert(1)');
  });

  test('up to three emoji stand without a bubble', async () => {
    await render({ message: message({ content: '😂❤️' }) });
    expect(find('.tc-jumbo')!.textContent).toBe('😂❤️');
    expect(find('.tc-bubble')).toBeNull();
  });

  test('a picture is an image, loaded when it comes near', async () => {
    const attachment = { attachmentUrl: 'https://files.example/a.jpg', attachmentType: 'image/jpeg', attachmentName: 'a.jpg' };
    await render({ message: message({ content: '', ...attachment }) });
    const image = find<HTMLImageElement>('.tc-image img')!;
    expect([image.src, image.alt, image.getAttribute('loading')]).toEqual(['https://files.example/a.jpg', 'a.jpg', 'lazy']);
    await act(async () => image.dispatchEvent(new Event('error')));
    expect(find('img')).toBeNull();
    expect(find('.tc-file')!.textContent).toBe('a.jpg');
  });

  test.each(['javascript:alert(1)', 'data:text/html,x', '//evil.example/a.jpg'])('%s is a name, never a link', async (url) => {
    for (const attachmentType of ['image/png', 'application/pdf']) {
      await render({ message: message({ content: '', attachmentUrl: url, attachmentType, attachmentName: 'a' }) });
      expect(all('a, img')).toEqual([]);
      expect(find('.tc-file')!.textContent).toBe('a');
    }
  });
});

describe('reactions', () => {
  const reactions = [reaction('👍', 'María'), reaction('❤️', 'Bea'), reaction('👍', 'me')];

  test('one pill for each emoji, with a count of two and more, pressed where it is mine', async () => {
    await render({ message: message({ reactions }) });
    expect(all('.tc-pill').map((pill) => pill.textContent)).toEqual(['👍2', '❤️']);
    expect(all('.tc-pill').map((pill) => pill.getAttribute('aria-pressed'))).toEqual(['true', 'false']);
    expect(all('.tc-pill').map((pill) => pill.getAttribute('aria-label'))).toEqual(['Thumbs up, María and you', 'Heart, Bea']);
  });

  test('an emoji of a later version stands for its own name', async () => {
    await render({ message: message({ reactions: [reaction('\u{1f9ed}' as Reaction['emoji'], 'Bea')] }) });
    expect(all('.tc-pill').map((pill) => pill.getAttribute('aria-label'))).toEqual(['\u{1f9ed}, Bea']);
    expect(find('.tc-row')!.getAttribute('aria-label')).toContain('\u{1f9ed}, Bea');
  });

  test('a pill toggles its emoji', async () => {
    await render({ message: message({ reactions }) });
    act(() => all('.tc-pill')[1]!.click());
    expect(actions.onReact).toHaveBeenCalledWith(expect.objectContaining({ key: 'k1' }), '❤️');
  });

  test('the picker is a toolbar of six, and knows mine', async () => {
    await render({ message: message({ reactions }) }, { picker: 'open' });
    const buttons = all('[role=toolbar] button');
    expect(buttons.map((button) => button.getAttribute('aria-label'))).toEqual([
      'Heart',
      'Thumbs up',
      'Laughing',
      'Surprised',
      'Sad',
      'Thumbs down',
    ]);
    expect(buttons.map((button) => button.getAttribute('aria-pressed')).indexOf('true')).toBe(1);
  });

  test('entered by key, it is one Tab stop, with arrows that go round', async () => {
    await render({}, { picker: 'entered' });
    const buttons = all('[role=toolbar] button');
    expect(buttons.map((button) => button.tabIndex)).toEqual([0, -1, -1, -1, -1, -1]);
    expect(document.activeElement).toBe(buttons[0]);
    const press = (key: string) =>
      act(() => void document.activeElement!.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })));
    press('ArrowLeft');
    expect(document.activeElement).toBe(buttons[5]);
    press('ArrowRight');
    press('ArrowRight');
    expect(document.activeElement).toBe(buttons[1]);
    press('End');
    expect(document.activeElement).toBe(buttons[5]);
    press('Home');
    expect(document.activeElement).toBe(buttons[0]);
  });
});

describe('a message that was not delivered', () => {
  const failed = { isOwn: true, status: 'failed', failure: { code: 'rate_limited', status: 429, message: '' } } as const;

  test('says why and offers Retry and Delete', async () => {
    await render(failed);
    expect(find('.tc-failure')!.textContent).toContain('too many messages');
    expect(all('.tc-failure button').map((button) => button.textContent)).toEqual(['Retry', 'Delete']);
    // Of one piece: where the words leave no room, both go to the next line.
    expect(all('.tc-failure > :last-child > button')).toHaveLength(2);
    act(() => all('.tc-failure button')[0]!.click());
    act(() => all('.tc-failure button')[1]!.click());
    expect(actions.onRetry).toHaveBeenCalledWith('k1');
    expect(actions.onDiscard).toHaveBeenCalledWith('k1');
  });

  test('says that much for a reason without words', async () => {
    await render({ ...failed, failure: { code: 'constructor', status: 400, message: '' } });
    expect(find('.tc-failure > span')!.textContent).toBe('Not delivered');
  });
});

test('links and buttons of a row are reached by Tab only while the focus is in it', async () => {
  const row = { message: message({ content: 'https://example.com', reactions: [reaction('👍', 'María')] }) };
  await render(row);
  await linksFound();
  expect(all('a, button').map((element) => element.tabIndex)).toEqual([-1, -1]);
  await render(row, { isActive: true });
  expect(all('a, button').map((element) => element.tabIndex)).toEqual([0, 0]);
});
