// dist/widget.js: the client's widget for any page, by one script tag.
//
//   <script src="https://chat.example/widget.js" data-trip-id="…" data-share-token="…" async></script>
//
// It is in a shadow root at the end of the body, also after a navigation that replaces the body (Turbo, htmx, Astro).
// Neither the page's styles nor its scripts' key bindings reach in; the only thing that it leaves on the page is
// `window.travelchatWidget`.
import { mountWidget, type MountedWidget } from './mount';
import { keyOf, readScript, scriptsOf, takeScripts } from './script_tag';

export interface TravelchatWidget {
  /** Opens the first widget of the page. */
  open(): void;
  /** Closes every window. */
  close(): void;
  /** Removes the widgets and their connections. A script tag that is added later makes a new one. */
  destroy(): void;
}

// Several tags, or one that a page adds again after a navigation, run this file several times: they share the first
// one's list. Symbol.for, because a page may mix releases.
const MOUNTED = Symbol.for('travelchat.widgets');

type Control = TravelchatWidget & { [MOUNTED]: Map<string, MountedWidget> };

declare global {
  interface Window {
    travelchatWidget?: TravelchatWidget;
  }
}

function control(): Control {
  const existing = window.travelchatWidget as Control | undefined;
  if (existing?.[MOUNTED]) return existing;
  const mounted = new Map<string, MountedWidget>();
  const made: Control = {
    [MOUNTED]: mounted,
    open: () => mounted.values().next().value?.setOpen(true),
    close: () => mounted.forEach((widget) => widget.setOpen(false)),
    destroy: () => {
      mounted.forEach((widget) => widget.destroy());
      mounted.clear();
      if (window.travelchatWidget === made) delete window.travelchatWidget;
    },
  };
  return (window.travelchatWidget = made);
}

function start(current: Element | null): void {
  const scripts = takeScripts(document, current);
  if (scripts.length === 0 && current === null) {
    console.error('travelchat: no script tag with data-trip-id and data-share-token is on this page.');
  }
  for (const script of scripts) {
    const tag = readScript(script);
    if (typeof tag === 'string') {
      console.error(tag);
      continue;
    }
    const mounted = control()[MOUNTED];
    const key = keyOf(tag);
    if (mounted.has(key)) continue;
    removeLeftBehind(mounted);
    const closeOthers = (opened: MountedWidget) =>
      mounted.forEach((widget) => {
        if (widget !== opened) widget.setOpen(false);
      });
    mounted.set(key, mountWidget(tag, mounted.size, closeOthers));
  }
}

// After a navigation to a page with a chat of its own, removes the widgets whose tags are not on it. A page without any
// chat keeps the one that is there.
function removeLeftBehind(mounted: Map<string, MountedWidget>): void {
  const tags = scriptsOf(document).map(readScript);
  const wanted = new Set(tags.map((tag) => (typeof tag === 'string' ? null : keyOf(tag))));
  for (const [key, widget] of mounted) {
    if (wanted.has(key) || !widget.hasBeenOut) continue;
    widget.destroy();
    mounted.delete(key);
  }
}

const { currentScript } = document;
// In the head there is no body yet, and for a module the tags further down are not there yet either.
if (document.body && (currentScript || document.readyState !== 'loading')) start(currentScript);
else document.addEventListener('DOMContentLoaded', () => start(currentScript), { once: true });
