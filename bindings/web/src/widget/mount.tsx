// One widget in its shadow root.
import { useEffect, useState, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { ClientChatWidget } from '../react/client_chat_widget';
import { ChatProvider } from '../react/context';
import { RETURNED } from '../react/viewport';
import type { ScriptTag } from './script_tag';
import css from './shadow.css?inline';

export interface MountedWidget {
  /** The element was removed with what was around it, and put back. */
  readonly hasBeenOut: boolean;
  setOpen(isOpen: boolean): void;
  destroy(): void;
}

/** `place`: 0 for the first widget of a page; the others stand beside it. `onOpen`: its window covers those of the
 * others. */
export function mountWidget(tag: ScriptTag, place: number, onOpen: (widget: MountedWidget) => void): MountedWidget {
  const host = document.createElement('travelchat-widget');
  const root = host.attachShadow({ mode: 'open' });
  adoptStyles(root);
  keepKeysInside(host);
  host.style.setProperty('--tc-widget-place', String(place));
  let hasReturned = false;
  const stopKeeping = keepInBody(host, () => {
    hasReturned = true;
    root.dispatchEvent(new Event(RETURNED));
  });

  const react = createRoot(root);
  const show = (isOpen: boolean) => {
    if (isOpen) onOpen(widget);
    react.render(
      <ChatProvider locale={tag.locale}>
        <Themed theme={tag.theme}>
          <ClientChatWidget
            tripId={tag.tripId}
            shareToken={tag.shareToken}
            tripTitle={tag.tripTitle}
            baseUrl={tag.baseUrl}
            isOpen={isOpen}
            onOpenChange={show}
            hasSound={tag.hasSound}
          />
        </Themed>
      </ChatProvider>,
    );
  };
  const widget: MountedWidget = {
    get hasBeenOut() {
      return hasReturned || !host.isConnected;
    },
    setOpen: show,
    destroy() {
      stopKeeping();
      react.unmount();
      host.remove();
    },
  };
  show(false);
  return widget;
}

// A navigation that replaces the body or its content removes the element: it is put back, with its state. In a later
// task, because page code that removes it whenever it appears would otherwise loop for ever.
function keepInBody(host: HTMLElement, onReturn: () => void): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const watch = () => {
    for (const parent of [document, document.documentElement, document.body]) {
      if (parent) observer.observe(parent, { childList: true });
    }
  };
  const observer = new MutationObserver(() => {
    watch();
    if (!host.isConnected) timer ??= setTimeout(enter);
  });
  const enter = () => {
    timer = undefined;
    if (host.isConnected || !document.body) return;
    // Removes copies from a page that the navigation library has cached: they have no shadow root.
    for (const copy of document.querySelectorAll(host.localName)) if (!copy.shadowRoot) copy.remove();
    document.body.append(host);
    onReturn();
  };
  document.body.append(host);
  watch();
  return () => {
    clearTimeout(timer);
    observer.disconnect();
  };
}

// Constructed sheets pass a page's Content-Security-Policy without 'unsafe-inline'; browsers before 2023 have none.
function adoptStyles(root: ShadowRoot): void {
  if ('adoptedStyleSheets' in root && 'replaceSync' in CSSStyleSheet.prototype) {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(css);
    root.adoptedStyleSheets = [sheet];
  } else {
    const style = document.createElement('style');
    style.textContent = css;
    (root as ShadowRoot).append(style);
  }
}

// For the page, the target of key events from inside is the host element, which is no input: so its single-key
// shortcuts would run on what is typed here.
function keepKeysInside(host: HTMLElement): void {
  for (const type of ['keydown', 'keypress', 'keyup']) host.addEventListener(type, (event) => event.stopPropagation());
}

// Selectors in a shadow root do not see the page's data-tc-theme; so it is copied in. The tag's own word comes first.
function Themed({ theme, children }: { theme: ScriptTag['theme']; children: ReactNode }) {
  const [pageTheme, setPageTheme] = useState(themeOfPage);
  useEffect(() => {
    const watch = () => {
      observer.observe(document.documentElement, { attributeFilter: ['data-tc-theme'], childList: true });
      if (document.body) observer.observe(document.body, { attributeFilter: ['data-tc-theme'] });
    };
    const observer = new MutationObserver(() => {
      // There may be another body.
      watch();
      setPageTheme(themeOfPage);
    });
    watch();
    return () => observer.disconnect();
  }, []);
  return <div data-tc-theme={theme ?? pageTheme ?? undefined}>{children}</div>;
}

function themeOfPage(): string | null {
  return document.body?.getAttribute('data-tc-theme') ?? document.documentElement.getAttribute('data-tc-theme');
}
