// The parts of a thread that need no layout, which jsdom does not have: what is announced, what becomes of the text in the
// input, when somebody counts as reading. Scrolling is tested in Chromium (tests/e2e).
import { act } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { SendStatus, Thread, ThreadRow, ThreadSnapshot } from '../../src/core/model';
import type { Message } from '../../src/core/types';
import { ChatThread } from '../../src/react/chat_thread';
import { ChatProvider } from '../../src/react/context';
import { nullsOfMessage } from '../../src/core/wire';

Object.assign(globalThis, {
  IS_REACT_ACT_ENVIRONMENT: true,
  // Nothing has a size here, so nothing changes it.
  ResizeObserver: class {
    observe() {}
    disconnect() {}
  },
});

const me = { type: 'advisor', id: 'advisor-1' } as const;

function row(key: string, content: string, isOwn: boolean, status: SendStatus = 'sent', seq = 0): ThreadRow {
  const message: Message = {
    ...nullsOfMessage,
    id: key,
    conversationId: 'conversation-1',
    orgId: 'org-1',
    senderType: isOwn ? 'advisor' : 'client',
    senderId: isOwn ? me.id : 'client-1',
    senderName: isOwn ? 'Ann Lee' : 'María Ortiz',
    content,
    isRead: false,
    createdAt: '2026-11-23T14:34:00.000Z',
    reactions: [],
    seq,
    rev: seq,
  };
  const failure = status === 'failed' ? { code: 'rate_limited', status: 429, message: '' } : null;
  return { key, message, isOwn, status, failure };
}

// A thread whose snapshots the test decides, and that notes what it was asked for.
class ScriptedThread implements Thread {
  readonly calls: string[] = [];
  #snapshot: ThreadSnapshot = {
    conversationId: 'conversation-1',
    me,
    rows: [],
    loading: null,
    loadFailure: null,
    hasOlder: false,
    connection: { phase: 'open', attempt: 0, downSince: null, reason: null },
    otherTyping: false,
    sideTyping: false,
    seen: null,
    unseenCount: 0,
    firstUnseenSeq: null,
  };
  #onChange = new Set<() => void>();
  #onIncoming = new Set<(message: Message) => void>();
  #draft: string;

  constructor(draft = '') {
    this.#draft = draft;
  }

  async change(changes: Partial<ThreadSnapshot>): Promise<void> {
    await act(async () => {
      this.#snapshot = { ...this.#snapshot, ...changes };
      for (const onChange of this.#onChange) onChange();
    });
  }

  /** Before anybody is told. */
  forgetQuietly(): void {
    this.#snapshot = { ...this.#snapshot, rows: [] };
  }

  async receive(message: Message): Promise<void> {
    await act(async () => {
      for (const listener of this.#onIncoming) listener(message);
    });
  }

  snapshot() {
    return this.#snapshot;
  }
  subscribe(onChange: () => void) {
    this.#onChange.add(onChange);
    return () => void this.#onChange.delete(onChange);
  }
  onIncoming(listener: (message: Message) => void) {
    this.#onIncoming.add(listener);
    return () => void this.#onIncoming.delete(listener);
  }
  send(content: string) {
    this.calls.push(`send ${content}`);
    return content.trim() === '' ? null : 'new';
  }
  retry(key: string) {
    this.calls.push(`retry ${key}`);
  }
  discard(key: string) {
    this.calls.push(`discard ${key}`);
  }
  async loadOlder() {
    this.calls.push('loadOlder');
  }
  toggleReaction() {
    this.calls.push('toggleReaction');
  }
  typed() {
    this.calls.push('typed');
  }
  stopTyping() {
    this.calls.push('stopTyping');
  }
  setReading(isReading: boolean) {
    this.calls.push(`setReading ${isReading}`);
  }
  reconnect() {
    this.calls.push('reconnect');
  }
  open() {}
  close() {}
  draft() {
    return this.#draft;
  }
  setDraft(text: string) {
    this.#draft = text;
  }
}

let box: HTMLElement;
let root: Root;
let thread: ScriptedThread;

beforeEach(() => {
  box = document.createElement('div');
  document.body.append(box);
  root = createRoot(box);
  thread = new ScriptedThread();
});

afterEach(() => {
  act(() => root.unmount());
  box.remove();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

async function render(onEscape?: () => void): Promise<void> {
  const escape = onEscape ? { onEscape } : {};
  await act(async () =>
    root.render(
      <ChatProvider locale="en-US">
        <ChatThread thread={thread} otherName="María Ortiz" otherAvatarUrl={null} {...escape} />
      </ChatProvider>,
    ),
  );
}

const input = () => box.querySelector('textarea')!;
const said = () => [...box.querySelectorAll('.tc-announcer p')].map((line) => line.textContent);
const button = (name: string) =>
  [...box.querySelectorAll('button')].find((element) => (element.ariaLabel ?? element.textContent) === name);

async function type(text: string): Promise<void> {
  await act(async () => {
    Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value')!.set!.call(input(), text);
    input().dispatchEvent(new Event('input', { bubbles: true }));
  });
}

async function press(key: string, more: KeyboardEventInit = {}): Promise<void> {
  await act(
    async () => void input().dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...more })),
  );
}

describe('announcements', () => {
  test('a message says who and what', async () => {
    await render();
    await thread.receive(row('m1', 'The room faces the river', false).message);
    expect(said()).toEqual(['María Ortiz: The room faces the river']);
  });

  test('a file is announced by its name', async () => {
    await render();
    await thread.receive({ ...row('m1', '', false).message, attachmentUrl: '/f/1', attachmentName: 'tickets.pdf' });
    expect(said()).toEqual(['María Ortiz: tickets.pdf']);
  });

  test('typing is announced once, however long it lasts', async () => {
    await render();
    await thread.change({ otherTyping: true });
    await thread.change({ rows: [row('m1', 'Hi', true)] });
    expect(said()).toEqual(['María Ortiz is typing']);
  });

  test('they are polite, and the log itself is silent', async () => {
    await render();
    expect(box.querySelector('.tc-announcer')!.getAttribute('aria-live')).toBe('polite');
    expect(box.querySelector('[role=log]')!.getAttribute('aria-live')).toBe('off');
    expect(box.querySelector('[role=log]')!.getAttribute('aria-label')).toBe('Messages');
  });
});

describe('the input', () => {
  test('Enter sends, and the input is empty again', async () => {
    await render();
    await type('Hello');
    await press('Enter');
    expect(thread.calls).toContain('send Hello');
    expect(input().value).toBe('');
    expect(thread.draft()).toBe('');
  });

  test.each([
    ['Shift+Enter', { shiftKey: true }],
    ['Enter while composing', { isComposing: true }],
    ['Enter of an input method that Safari reports late', { keyCode: 229 }],
  ])('%s sends nothing', async (_, more) => {
    await render();
    await type('Hello');
    await press('Enter', more);
    expect(thread.calls.filter((call) => call.startsWith('send'))).toEqual([]);
    expect(input().value).toBe('Hello');
  });

  test.each([
    ['white space', ' \n \u3000'],
    ['a zero-width space', '\u200b'],
    ['what has no ink', ' \u2060\u00ad\ufeff\u200d '],
    ['control characters', '\u0085\u0007'],
  ])('%s alone cannot be sent', async (_, blank) => {
    await render();
    await type(blank);
    expect(button('Send')!.disabled).toBe(true);
    await press('Enter');
    expect(thread.calls.filter((call) => call.startsWith('send'))).toEqual([]);
  });

  test('10,000 code points can be sent, one more cannot, and it says so', async () => {
    await render();
    await type('😀'.repeat(10_000));
    expect(button('Send')!.disabled).toBe(false);
    await type('😀'.repeat(10_001));
    expect(button('Send')!.disabled).toBe(true);
    expect(box.querySelector('[role=alert]')!.textContent).toBe('Too long by 1 character');
    expect(input().getAttribute('aria-describedby')).toBe(box.querySelector('[role=alert]')!.id);
    await press('Enter');
    expect(thread.calls.filter((call) => call.startsWith('send'))).toEqual([]);
  });

  test('a draft is kept, and is there the next time', async () => {
    thread = new ScriptedThread('half a thou');
    await render();
    expect(input().value).toBe('half a thou');
    await type('half a thought');
    expect(thread.draft()).toBe('half a thought');
  });

  test('typing is told with each change, its end when the focus leaves or the text is gone', async () => {
    await render();
    await type('a');
    await type('ab');
    expect(thread.calls.filter((call) => call === 'typed')).toHaveLength(2);
    await act(async () => void input().dispatchEvent(new FocusEvent('focusout', { bubbles: true })));
    expect(thread.calls.at(-1)).toBe('stopTyping');
  });

  test('Escape is handed on', async () => {
    const onEscape = vi.fn();
    await render(onEscape);
    await press('Escape');
    expect(onEscape).toHaveBeenCalledOnce();
  });
});

describe('a message that is refused', () => {
  const refuse = async (content: string) => {
    await thread.change({ rows: [row('k1', content, true, 'sending')] });
    await thread.change({ rows: [row('k1', content, true, 'failed')] });
  };

  test('comes back into the empty input', async () => {
    await render();
    await refuse('Book the boat');
    expect(input().value).toBe('Book the boat');
  });

  test('never takes the place of newer typing', async () => {
    await render();
    await type('newer');
    await refuse('Book the boat');
    expect(input().value).toBe('newer');
  });

  test('is left where it is when it had failed before the page was loaded', async () => {
    await thread.change({ rows: [row('k1', 'old', true, 'failed')] });
    await render();
    expect(input().value).toBe('');
  });

  const sent = () => thread.calls.filter((call) => /^(send|retry|discard) /.test(call));

  test('goes again when its words are sent, so that there are never two', async () => {
    await render();
    await refuse('Book the boat');
    await press('Enter');
    expect(sent()).toEqual(['retry k1']);
    expect(input().value).toBe('');
    expect(thread.draft()).toBe('');
  });

  test('goes again with the same words after a reload too', async () => {
    await thread.change({ rows: [row('k1', 'Book the boat', true, 'failed')] });
    await render();
    await type('Book the boat ');
    await press('Enter');
    expect(sent()).toEqual(['retry k1']);
  });

  test.each(['Book the boat for four', 'Something else'])('stays when other words are sent in its stead: %s', async (other) => {
    await render();
    await refuse('Book the boat');
    await type(other);
    await press('Enter');
    expect(sent()).toEqual([`send ${other}`]);
    expect(button('Retry')).toBeDefined();
    expect(button('Delete')).toBeDefined();
  });

  test('goes again alone of two', async () => {
    await render();
    const rows = [row('k1', 'Book the boat', true, 'sending'), row('k2', 'And the car', true, 'sending')];
    await thread.change({ rows });
    await thread.change({ rows: [row('k1', 'Book the boat', true, 'failed'), rows[1]!] });
    await thread.change({ rows: [row('k1', 'Book the boat', true, 'failed'), row('k2', 'And the car', true, 'failed')] });
    expect(input().value).toBe('Book the boat');
    await type('And the car');
    await press('Enter');
    expect(sent()).toEqual(['retry k2']);
  });

  test('is sent anew when another tab has taken it out', async () => {
    await render();
    await refuse('Book the boat');
    thread.forgetQuietly();
    await press('Enter');
    expect(sent()).toEqual(['send Book the boat']);
  });

  test('is a draft when its row is deleted while its words are in the input', async () => {
    await render();
    await refuse('Book the boat');
    expect(thread.draft()).toBe('');
    await act(async () => button('Delete')!.click());
    expect(sent()).toEqual(['discard k1']);
    expect(input().value).toBe('Book the boat');
    expect(thread.draft()).toBe('Book the boat');
  });

  test('stays when the restored text was wiped and another one is sent', async () => {
    await render();
    await refuse('Book the boat');
    await type('');
    await type('Something else');
    thread.calls.length = 0;
    await press('Enter');
    expect(thread.calls).not.toContain('discard k1');
  });

  test('Retry takes the untouched text out of the input', async () => {
    await render();
    await refuse('Book the boat');
    await act(async () => button('Retry')!.click());
    expect(thread.calls).toContain('retry k1');
    expect(input().value).toBe('');
  });

  test('Retry leaves a text that was changed', async () => {
    await render();
    await refuse('Book the boat');
    await type('Book the boat for four');
    await act(async () => button('Retry')!.click());
    expect(input().value).toBe('Book the boat for four');
  });
});

describe('reading', () => {
  const visible = (isVisible: boolean, hasFocus: boolean) => {
    vi.spyOn(document, 'visibilityState', 'get').mockReturnValue(isVisible ? 'visible' : 'hidden');
    vi.spyOn(document, 'hasFocus').mockReturnValue(hasFocus);
  };
  const last = () => thread.calls.filter((call) => call.startsWith('setReading')).at(-1);

  test('is while the page is visible and has the focus', async () => {
    visible(true, true);
    await render();
    expect(last()).toBe('setReading true');
    visible(true, false);
    await act(async () => void window.dispatchEvent(new Event('blur')));
    expect(last()).toBe('setReading false');
    visible(false, true);
    await act(async () => void document.dispatchEvent(new Event('visibilitychange')));
    expect(last()).toBe('setReading false');
    visible(true, true);
    await act(async () => void window.dispatchEvent(new Event('focus')));
    expect(last()).toBe('setReading true');
  });

  test('ends with the component', async () => {
    visible(true, true);
    await render();
    await act(async () => root.render(null));
    expect(last()).toBe('setReading false');
  });

  test('begins when it is known where the unread began, and that line stays', async () => {
    visible(true, true);
    await thread.change({ connection: { phase: 'connecting', attempt: 0, downSince: Date.now(), reason: null } });
    await thread.change({ loading: 'opening' });
    await render();
    expect(last()).not.toBe('setReading true');
    const rows = [row('m1', 'seen', false, 'sent', 1), row('m2', 'not seen', false, 'sent', 2)];
    await thread.change({ loading: null, rows, firstUnseenSeq: 2, unseenCount: 1 });
    expect(last()).toBe('setReading true');
    await thread.change({ firstUnseenSeq: null, unseenCount: 0 });
    expect(box.querySelector('.tc-new-line')!.textContent).toBe('New');
    expect(box.querySelector('.tc-new-line')!.parentElement!.textContent).toContain('not seen');
  });
});

describe('the banner', () => {
  const down = (attempt: number, downSince: number) =>
    ({ phase: 'waiting', attempt, downSince, reason: null }) as const;

  test('comes after two seconds without a connection, and goes with it', async () => {
    vi.useFakeTimers();
    await render();
    await thread.change({ connection: down(1, Date.now()) });
    expect(box.querySelector('.tc-banner')).toBeNull();
    await act(async () => vi.advanceTimersByTime(1_999));
    expect(box.querySelector('.tc-banner')).toBeNull();
    await act(async () => vi.advanceTimersByTime(1));
    expect(box.querySelector('.tc-banner')!.getAttribute('role')).toBe('status');
    await thread.change({ connection: { phase: 'open', attempt: 0, downSince: null, reason: null } });
    expect(box.querySelector('.tc-banner')).toBeNull();
  });

  test('offers a button after five tries', async () => {
    vi.useFakeTimers();
    await render();
    await thread.change({ connection: down(4, Date.now() - 9_000) });
    await act(async () => vi.advanceTimersByTime(0));
    expect(button('Reconnect')).toBeUndefined();
    await thread.change({ connection: down(5, Date.now() - 9_000) });
    await act(async () => vi.advanceTimersByTime(0));
    await act(async () => button('Reconnect')!.click());
    expect(thread.calls).toContain('reconnect');
  });

  test('says at once when the connection was refused for good', async () => {
    await render();
    await thread.change({ connection: { phase: 'stopped', attempt: 1, downSince: 1, reason: 'unauthorized' } });
    expect(box.querySelector('.tc-banner')!.textContent).toBe('You are signed out.Reconnect');
  });
});

test('one receipt stands under the newest own message that was not refused', async () => {
  await render();
  const rows = [
    row('m1', 'one', true, 'sent', 1),
    row('m2', 'two', true, 'sent', 2),
    row('m3', 'three', false, 'sent', 3),
    row('k4', 'four', true, 'failed'),
  ];
  const receipt = () => [...box.querySelectorAll('.tc-receipt')].map((line) => line.textContent);
  await thread.change({ rows });
  expect(receipt()).toEqual(['Sent']);
  expect(box.querySelector('.tc-receipt')!.parentElement!.textContent).toContain('two');
  await thread.change({ seen: { key: 'm2', at: '2026-11-23T14:35:00.000Z' } });
  expect(receipt()[0]).toMatch(/^Seen \d+:35/);
  await thread.change({ seen: { key: 'm2', at: null } });
  expect(receipt()).toEqual(['Seen']);
  await thread.change({ rows: [...rows, row('k5', 'five', true, 'sending')] });
  expect(receipt()).toEqual(['Sending…']);
});
