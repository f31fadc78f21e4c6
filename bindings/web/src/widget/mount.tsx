// One widget in its shadow root.
import { useEffect, useState, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { ClientChatWidget } from '../react/client_chat_widget';
import { ChatProvider } from '../react/context';
import type { ScriptTag } from './script_tag';
import css from './shadow.css?inline';

export interface MountedWidget {
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
  document.body.append(host);

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
          />
        </Themed>
      </ChatProvider>,
    );
  };
  const widget: MountedWidget = {
    setOpen: show,
    destroy() {
      react.unmount();
      host.remove();
    },
  };
  show(false);
  return widget;
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

// To the page an event from inside comes from an element that is no input, so its single-key shortcuts would fire on
// what is typed here.
function keepKeysInside(host: HTMLElement): void {
  for (const type of ['keydown', 'keypress', 'keyup']) host.addEventListener(type, (event) => event.stopPropagation());
}

// Selectors in a shadow root do not see the page's data-tc-theme; so it is copied in. The tag's own word comes first.
function Themed({ theme, children }: { theme: ScriptTag['theme']; children: ReactNode }) {
  const [pageTheme, setPageTheme] = useState(themeOfPage);
  useEffect(() => {
    const observer = new MutationObserver(() => setPageTheme(themeOfPage));
    for (const element of [document.documentElement, document.body]) {
      observer.observe(element, { attributeFilter: ['data-tc-theme'] });
    }
    return () => observer.disconnect();
  }, []);
  return <div data-tc-theme={theme ?? pageTheme ?? undefined}>{children}</div>;
}

function themeOfPage(): string | null {
  return document.body.getAttribute('data-tc-theme') ?? document.documentElement.getAttribute('data-tc-theme');
}
