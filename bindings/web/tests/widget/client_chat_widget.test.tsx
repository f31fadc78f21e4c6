// @vitest-environment jsdom
//
// The closed widget against the real server. What needs layout (the window, the keyboard, the script tag) is in
// tests/e2e.
import { StrictMode } from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { ChatProvider } from '../../src/react/context';
import { ClientChatWidget } from '../../src/react/client_chat_widget';
import { hasServer, RealServer } from '../core/real_server';

describe.skipIf(!hasServer)('the closed widget', () => {
  let server: RealServer;
  let box: HTMLElement;
  let root: Root;
  let answered: string[];
  let onAnswer: () => void;

  beforeAll(async () => {
    server = await RealServer.start();
  });
  afterAll(() => server.stop());

  beforeEach(() => {
    const fetch = globalThis.fetch;
    answered = [];
    onAnswer = () => {};
    vi.stubGlobal('fetch', async (input: string, init?: RequestInit) => {
      const answer = await fetch(input, init);
      answered.push(new URL(input).pathname);
      onAnswer();
      return answer;
    });
    // jsdom's own would send the origin of a page that the server does not know.
    vi.stubGlobal('WebSocket', WebSocket);
    sessionStorage.clear();
    box = document.createElement('div');
    document.body.append(box);
    root = createRoot(box);
  });
  afterEach(() => {
    root.unmount();
    box.remove();
    vi.unstubAllGlobals();
  });

  const grants = () => answered.filter((path) => path === '/api/chat-token').length;
  const launcher = () => box.querySelector<HTMLElement>('.tc-launcher');
  const name = () => launcher()?.getAttribute('aria-label');

  function show(shareToken: string, tripId = server.demo.trips[0]!.id) {
    root.render(
      <StrictMode>
        <ChatProvider locale="en">
          <ClientChatWidget tripId={tripId} shareToken={shareToken} baseUrl={server.url} />
          <output>{shareToken}</output>
        </ChatProvider>
      </StrictMode>,
    );
  }

  /** Looks again after each answer of the server and each change of the page. */
  function until(isSo: () => boolean): Promise<void> {
    return new Promise((found) => {
      const look = () => {
        if (!isSo()) return;
        observer.disconnect();
        onAnswer = () => {};
        found();
      };
      const observer = new MutationObserver(look);
      observer.observe(box, { subtree: true, childList: true, attributes: true, characterData: true });
      onAnswer = look;
      look();
    });
  }

  async function say(...messages: string[]) {
    const { conversationId } = await server.grant();
    const { cookie } = await server.signIn();
    for (const content of messages) {
      const answer = await fetch(`${server.url}/api/conversations/${conversationId}/messages`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', cookie },
        body: JSON.stringify({ content }),
      });
      expect(answer.status).toBe(201);
    }
  }

  test('is nothing for a share link that the server refuses, and asks for nothing else', async () => {
    show('0'.repeat(32));
    await until(() => grants() > 0);
    show('1'.repeat(32));
    await until(() => grants() > 1 && box.textContent === '1'.repeat(32));
    expect(box.innerHTML).toBe(`<output>${'1'.repeat(32)}</output>`);
    expect(new Set(answered)).toEqual(new Set(['/api/chat-token']));
  });

  test('counts what the client has not seen, also what arrives while it is closed', async () => {
    await say('First');
    show(server.demo.trips[0]!.shareToken);
    await until(() => name() === 'Open chat, 1 unread message');
    await say('Second', 'Third');
    await until(() => name() === 'Open chat, 3 unread messages');
    expect(box.querySelector('.tc-badge')!.textContent).toBe('3');
    expect(launcher()!.getAttribute('aria-expanded')).toBe('false');
  });

  test('takes the grant of an earlier page of the same tab', async () => {
    const { shareToken } = server.demo.trips[0]!;
    show(shareToken);
    await until(() => launcher() !== null);
    expect(grants()).toBe(1);
    root.unmount();
    root = createRoot(box);
    show(shareToken);
    await until(() => launcher() !== null);
    expect(grants()).toBe(1);
  });

  test('changes with its trip', async () => {
    const [first, second] = server.demo.trips;
    show(first!.shareToken);
    await until(() => launcher() !== null);
    show(second!.shareToken, second!.id);
    await until(() => launcher() === null);
    await until(() => launcher() !== null);
    expect(grants()).toBe(2);
  });
});
