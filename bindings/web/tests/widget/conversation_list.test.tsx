// @vitest-environment jsdom
import { act, useState } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Conversation } from '../../src/core/types';
import { ChatProvider } from '../../src/react/context';
import { ConversationList, type ConversationListProps } from '../../src/react/conversation_list';

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

function conversation(id: string, changes: Partial<Conversation> = {}): Conversation {
  return {
    id,
    orgId: 'org-1',
    clientId: `client-${id}`,
    createdAt: '2026-11-01T09:00:00.000Z',
    lastMessageAt: null,
    clientName: `Client ${id}`,
    clientAvatarUrl: null,
    lastMessage: null,
    unreadCount: 0,
    activeTrip: null,
    rev: 1,
    ...changes,
  };
}

const four = ['a', 'b', 'c', 'd'].map((id) => conversation(id));

let box: HTMLElement;
let root: Root;
let selected: string[];
let searched: string[];

beforeEach(() => {
  box = document.createElement('div');
  document.body.append(box);
  root = createRoot(box);
  selected = [];
  searched = [];
});

afterEach(() => {
  act(() => root.unmount());
  box.remove();
});

function show(props: Partial<ConversationListProps> = {}) {
  act(() =>
    root.render(
      <ChatProvider locale="en">
        <ConversationList
          conversations={four}
          selectedId={null}
          onSelect={(id) => selected.push(id)}
          query=""
          onSearch={(query) => searched.push(query)}
          {...props}
        />
      </ChatProvider>,
    ),
  );
}

const rows = () => [...box.querySelectorAll<HTMLElement>('[role="option"]')];
const tabStops = () => rows().flatMap((row) => (row.tabIndex === 0 ? [row.dataset.conversationId] : []));
const focused = () => (document.activeElement as HTMLElement).dataset.conversationId;
const searchBox = () => box.querySelector('input')!;
const press = (key: string, modifiers: KeyboardEventInit = {}) =>
  act(() => {
    const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...modifiers });
    document.activeElement!.dispatchEvent(event);
  });
const type = (text: string) =>
  act(() => {
    // What a browser does between a key and its event, past React's record of the value.
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value')!.set!.call(searchBox(), text);
    searchBox().dispatchEvent(new Event('input', { bubbles: true }));
  });

describe('the list of conversations', () => {
  test('is one Tab stop: the first row, then the selected one, then where the focus was', () => {
    show();
    expect(tabStops()).toEqual(['a']);
    show({ selectedId: 'c' });
    expect(tabStops()).toEqual(['c']);
    act(() => rows()[1]!.focus());
    expect(tabStops()).toEqual(['b']);
    show({ selectedId: 'c', conversations: [four[0]!, four[2]!] });
    expect(tabStops()).toEqual(['c']);
    show({ selectedId: 'x', conversations: [four[3]!] });
    expect(tabStops()).toEqual(['d']);
  });

  test('is walked by the arrows, Home and End, and stops at its ends', () => {
    show();
    act(() => rows()[0]!.focus());
    press('ArrowUp');
    expect(focused()).toBe('a');
    press('ArrowDown');
    expect(focused()).toBe('b');
    press('End');
    expect(focused()).toBe('d');
    press('ArrowDown');
    expect(focused()).toBe('d');
    press('Home');
    expect(focused()).toBe('a');
    expect(selected).toEqual([]);
  });

  test('leaves keys with modifiers to the browser', () => {
    show();
    act(() => rows()[0]!.focus());
    press('End', { ctrlKey: true });
    press('ArrowDown', { altKey: true });
    expect(focused()).toBe('a');
  });

  test('selects by Enter, by the space bar and by a click anywhere in a row', () => {
    show();
    act(() => rows()[1]!.focus());
    press('Enter');
    press(' ');
    act(() => rows()[3]!.querySelector<HTMLElement>('.tc-list-name')!.click());
    expect(selected).toEqual(['b', 'b', 'd']);
  });

  test('says which row is selected', () => {
    show({ selectedId: 'b' });
    expect(rows().map((row) => row.getAttribute('aria-selected'))).toEqual(['false', 'true', 'false', 'false']);
  });

  test('keeps the focus on a row that a new message moves to the top', () => {
    show();
    act(() => rows()[2]!.focus());
    show({ conversations: [four[2]!, four[0]!, four[1]!, four[3]!] });
    expect(focused()).toBe('c');
    show({ conversations: [four[3]!, four[2]!, four[0]!, four[1]!] });
    expect(focused()).toBe('c');
  });

  test('counts what is unread, up to 99', () => {
    show({ conversations: [conversation('a', { unreadCount: 2 }), conversation('b', { unreadCount: 100 }), four[2]!] });
    expect([...box.querySelectorAll('.tc-unread')].map((badge) => badge.textContent)).toEqual([
      '22 unread messages',
      '99+100 unread messages',
    ]);
    expect(rows().map((row) => row.dataset.unread)).toEqual(['true', 'true', 'false']);
  });

  test('shows a trip, and names and markup as they are', () => {
    const clientName = '<img src=x onerror=alert(1)>';
    show({ conversations: [conversation('a', { clientName, activeTrip: { id: 't', title: '<b>Rome</b>' } })] });
    expect(box.querySelector('.tc-list-name')!.textContent).toBe(clientName);
    expect(box.querySelector('.tc-list-trip')!.textContent).toBe('Active trip: <b>Rome</b>');
    expect(box.querySelector('.tc-list-rows img')).toBeNull();
  });

  test('shows initials in place of a picture that cannot be loaded, until there is another', () => {
    const avatar = () => box.querySelector('.tc-avatar')!;
    show({ conversations: [conversation('a', { clientName: 'Maria Lopez', clientAvatarUrl: '/1.png' })] });
    expect(avatar().textContent).toBe('');
    act(() => {
      avatar().querySelector('img')!.dispatchEvent(new Event('error'));
    });
    expect(avatar().textContent).toBe('ML');
    show({ conversations: [conversation('a', { clientName: 'Maria Lopez', clientAvatarUrl: '/2.png' })] });
    expect(avatar().querySelector('img')!.getAttribute('src')).toBe('/2.png');
  });

  test.each([
    'javascript:alert(1)',
    'JAVASCRIPT:alert(1)',
    ' java\nscript:alert(1)',
    'data:text/html,<script>alert(1)</script>',
    'vbscript:x',
    'file:///etc/passwd',
    'https://',
  ])('shows initials in place of %j', (clientAvatarUrl) => {
    show({ conversations: [conversation('a', { clientName: 'Maria Lopez', clientAvatarUrl })] });
    expect(box.querySelector('.tc-avatar')!.textContent).toBe('ML');
    expect(box.querySelector('.tc-list-rows img')).toBeNull();
  });

  test.each(['https://cdn.example/1.png', '/1.png', 'avatars/1.png', 'data:image/png;base64,iVBORw0KGgo=', 'blob:https://a.example/1'])(
    'shows the picture at %s',
    (clientAvatarUrl) => {
      show({ conversations: [conversation('a', { clientAvatarUrl })] });
      expect(box.querySelector('.tc-avatar img')!.getAttribute('src')).toBe(clientAvatarUrl);
    },
  );

  test('is a skeleton before it is loaded, and says so when it cannot be', () => {
    show({ conversations: null });
    expect(box.querySelector('[role="status"]')!.textContent).toContain('Loading conversations…');
    show({ conversations: null, failure: { code: 'network', status: 0, message: 'no answer' } });
    expect(box.querySelector('[role="status"]')!.textContent).toBe('Conversations could not be loaded.');
    expect(box.querySelector('.tc-list-skeleton')).toBeNull();
  });

  test('keeps its rows when a later load fails, and offers to try again', () => {
    let tries = 0;
    show({ failure: { code: 'network', status: 0, message: 'no answer' }, onRetry: () => ++tries });
    expect(rows()).toHaveLength(4);
    act(() => box.querySelector<HTMLElement>('.tc-list-retry')!.click());
    expect(tries).toBe(1);
  });

  test('tells an empty list from a search without results', () => {
    show({ conversations: [] });
    expect(box.querySelector('.tc-list-empty')!.textContent).toBe('No conversations yet');
    show({ conversations: [], query: ' rome ' });
    expect(box.querySelector('.tc-list-empty')!.textContent).toBe('No results for “rome”');
  });
});

describe('the search box', () => {
  test('tells what is typed, and is emptied by its button and by Escape', () => {
    show();
    expect(box.querySelector('.tc-list-clear')).toBeNull();
    type('ro');
    act(() => box.querySelector<HTMLElement>('.tc-list-clear')!.click());
    expect(document.activeElement).toBe(searchBox());
    type('mar');
    press('Escape');
    expect(searched).toEqual(['ro', '', 'mar', '']);
    expect(searchBox().value).toBe('');
  });

  test('keeps Escape to itself only while there is something to clear', () => {
    const seen: string[] = [];
    const listen = (event: KeyboardEvent) => seen.push(event.key);
    document.addEventListener('keydown', listen);
    show();
    act(() => searchBox().focus());
    press('Escape');
    type('x');
    press('Escape');
    document.removeEventListener('keydown', listen);
    expect(seen).toEqual(['Escape']);
  });

  test('is not set back by a query that comes late', () => {
    show();
    act(() => searchBox().focus());
    type('ro');
    type('rom');
    show({ query: 'ro' });
    expect(searchBox().value).toBe('rom');
  });

  test('follows a query that is set from outside', () => {
    show();
    show({ query: 'rome' });
    expect(searchBox().value).toBe('rome');
  });

  test('leads into the list by the down arrow', () => {
    show({ selectedId: 'b' });
    act(() => searchBox().focus());
    press('ArrowDown');
    expect(focused()).toBe('b');
  });
});

test('a list and its owner end on the same query, whoever is slower', () => {
  function Owner() {
    const [query, setQuery] = useState('');
    const fixed = { conversations: four, selectedId: null, onSelect: () => {} };
    return <ConversationList {...fixed} query={query} onSearch={setQuery} />;
  }
  act(() => root.render(<Owner />));
  act(() => searchBox().focus());
  type('r');
  type('ro');
  expect(searchBox().value).toBe('ro');
  press('Escape');
  expect(searchBox().value).toBe('');
});
