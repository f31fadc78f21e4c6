// Which <script> element asked for a widget, and what it says.

export interface ScriptTag {
  readonly tripId: string;
  readonly shareToken: string;
  /** Empty: no "Re:" line. */
  readonly tripTitle: string;
  /** The server: the origin where the script came from, and the path below which it has the chat. */
  readonly baseUrl: string;
  readonly locale: string | undefined;
  readonly theme: 'light' | 'dark' | null;
  readonly hasSound: boolean;
}

/** Two tags of the same key are the same chat. */
export const keyOf = ({ baseUrl, tripId, shareToken }: ScriptTag): string =>
  JSON.stringify([baseUrl, tripId, shareToken]);

// Set on an element that has its widget, so that one that runs again, or is found by a second script, makes no other.
const TAKEN = 'data-travelchat-mounted';

/** The elements to serve now, each marked as taken. `current` is document.currentScript: the element itself for a
 * plain, async, deferred or injected script. A module has none; then it is every waiting element of the page. */
export function takeScripts(document: Document, current: Element | null): HTMLScriptElement[] {
  const waiting = isScript(current) ? [current] : scriptsOf(document);
  const free = waiting.filter((script) => !script.hasAttribute(TAKEN));
  for (const script of free) script.setAttribute(TAKEN, '');
  return free;
}

/** Every element of the page that asks for a widget. */
export function scriptsOf(document: Document): HTMLScriptElement[] {
  return [...document.querySelectorAll<HTMLScriptElement>('script[data-trip-id]')];
}

function isScript(element: Element | null): element is HTMLScriptElement {
  return element?.localName === 'script';
}

/** What the element says, or a sentence about what it lacks. */
export function readScript(script: HTMLScriptElement): ScriptTag | string {
  const { dataset } = script;
  const { tripId, shareToken, tripTitle, locale, basePath = '' } = dataset;
  const theme = dataset.theme?.toLowerCase();
  const missing = [tripId ? '' : 'data-trip-id', shareToken ? '' : 'data-share-token'].filter(Boolean);
  if (missing.length > 0) return `travelchat: the script tag of the chat widget lacks ${missing.join(' and ')}.`;
  if (!/^https?:/.test(script.src)) {
    return 'travelchat: the script tag of the chat widget has no src to find its server by.';
  }
  if (!/^(\/(?!\/)|$)/.test(basePath)) {
    return 'travelchat: data-base-path of the chat widget must begin with one slash.';
  }
  return {
    tripId: tripId!,
    shareToken: shareToken!,
    tripTitle: tripTitle ?? '',
    baseUrl: new URL(script.src).origin + basePath.replace(/\/+$/, ''),
    locale: locale || script.ownerDocument.documentElement.lang || undefined,
    theme: theme === 'light' || theme === 'dark' ? theme : null,
    hasSound: dataset.sound?.toLowerCase() !== 'off',
  };
}
