// @vitest-environment jsdom
import { beforeEach, describe, expect, test } from 'vitest';
import type { ScriptTag } from '../../src/widget/script_tag';
import { keyOf, readScript, scriptsOf, takeScripts } from '../../src/widget/script_tag';

const SRC = 'https://chat.example:8443/static/widget.js?v=2';

function addScript(attributes: Record<string, string>): HTMLScriptElement {
  const script = document.createElement('script');
  // A type that is not run: jsdom must not fetch it.
  script.type = 'text/plain';
  for (const [name, value] of Object.entries(attributes)) script.setAttribute(name, value);
  document.head.append(script);
  return script;
}

const complete = { src: SRC, 'data-trip-id': 'trip-1', 'data-share-token': 'share-1' };

beforeEach(() => {
  document.head.replaceChildren();
  document.documentElement.removeAttribute('lang');
});

describe('the scripts to serve', () => {
  test('are the running one alone, when the browser names it', () => {
    addScript(complete);
    const running = addScript(complete);
    expect(takeScripts(document, running)).toEqual([running]);
  });

  test('are all that wait, when a module runs', () => {
    const scripts = [addScript(complete), addScript(complete)];
    addScript({ src: 'https://other.example/analytics.js' });
    expect(takeScripts(document, null)).toEqual(scripts);
  });

  test('are served once', () => {
    const first = addScript(complete);
    expect(takeScripts(document, first)).toEqual([first]);
    expect(takeScripts(document, first)).toEqual([]);
    const second = addScript(complete);
    expect(takeScripts(document, null)).toEqual([second]);
    expect(takeScripts(document, null)).toEqual([]);
  });

  test('are looked for when the running element is no script', () => {
    const waiting = addScript(complete);
    const foreign = document.createElementNS('http://www.w3.org/2000/svg', 'g');
    expect(takeScripts(document, foreign)).toEqual([waiting]);
  });
});

describe('a script tag', () => {
  test('says which trip, and where the server is', () => {
    expect(readScript(addScript(complete))).toEqual({
      tripId: 'trip-1',
      shareToken: 'share-1',
      tripTitle: '',
      baseUrl: 'https://chat.example:8443',
      locale: undefined,
      theme: null,
      hasSound: true,
    });
  });

  test('may say title, language and theme', () => {
    const script = addScript({
      ...complete,
      'data-trip-title': 'Two weeks in Japan',
      'data-locale': 'de',
      'data-theme': 'dark',
    });
    expect(readScript(script)).toMatchObject({ tripTitle: 'Two weeks in Japan', locale: 'de', theme: 'dark' });
  });

  test('may say below which path of its server the chat is', () => {
    const told = (path: string) => readScript(addScript({ ...complete, 'data-base-path': path }));
    for (const path of ['/a/chat', '/a/chat/']) expect(told(path)).toMatchObject({ baseUrl: 'https://chat.example:8443/a/chat' });
    for (const path of ['', '/']) expect(told(path)).toMatchObject({ baseUrl: 'https://chat.example:8443' });
    for (const path of ['chat', '@evil.example', '//evil.example']) expect(told(path)).toMatch(/data-base-path/);
  });

  test('may be without a sound', () => {
    expect(readScript(addScript({ ...complete, 'data-sound': 'off' }))).toMatchObject({ hasSound: false });
    expect(readScript(addScript({ ...complete, 'data-sound': 'on' }))).toMatchObject({ hasSound: true });
  });

  test('says its keywords in any case', () => {
    const script = addScript({ ...complete, 'data-theme': 'Dark', 'data-sound': 'OFF' });
    expect(readScript(script)).toMatchObject({ theme: 'dark', hasSound: false });
    expect(readScript(addScript({ ...complete, 'data-theme': 'LIGHT' }))).toMatchObject({ theme: 'light', hasSound: true });
    expect(readScript(addScript({ ...complete, 'data-theme': 'dim' }))).toMatchObject({ theme: null });
  });

  test('is for the same chat as another one of the same server and link, whatever else it says', () => {
    addScript(complete);
    addScript({ ...complete, 'data-trip-title': 'Japan', 'data-theme': 'dark' });
    addScript({ ...complete, 'data-trip-id': 'trip-2' });
    addScript({ ...complete, src: 'https://other.example/widget.js' });
    const keys = scriptsOf(document).map((script) => keyOf(readScript(script) as ScriptTag));
    expect(keys[1]).toBe(keys[0]);
    expect(new Set(keys).size).toBe(3);
  });

  test("takes the page's language where it names none", () => {
    document.documentElement.lang = 'de-AT';
    expect(readScript(addScript(complete))).toMatchObject({ locale: 'de-AT' });
  });

  test('with a theme that does not exist has none', () => {
    expect(readScript(addScript({ ...complete, 'data-theme': 'pink' }))).toMatchObject({ theme: null });
  });

  test.each([
    [{ src: SRC }, 'data-trip-id and data-share-token'],
    [{ src: SRC, 'data-trip-id': 'trip-1' }, 'data-share-token'],
    [{ src: SRC, 'data-trip-id': '', 'data-share-token': 'share-1' }, 'data-trip-id'],
  ])('%j is told what it lacks', (attributes, lacks) => {
    expect(readScript(addScript(attributes as Record<string, string>))).toBe(
      `travelchat: the script tag of the chat widget lacks ${lacks}.`,
    );
  });

  const elsewhere = ['file:///widget.js', 'blob:https://chat.example/1'];
  test.each(elsewhere)('from %j is told that its server is unknown', (src) => {
    expect(readScript(addScript({ ...complete, src }))).toMatch(/no src to find its server by/u);
  });

  test('with its code inside is told that its server is unknown', () => {
    expect(readScript(addScript({ 'data-trip-id': 'trip-1', 'data-share-token': 'share-1' }))).toMatch(/no src/u);
  });
});
