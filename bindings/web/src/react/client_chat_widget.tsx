// The client's chat on any page: a round button in the corner and the window that it opens. It needs a trip's share
// link, and renders nothing while the server grants no chat for that.
//
// The client itself is loaded after the grant: a trip's page without a chat does not pay for one.
import {
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
  type KeyboardEvent,
  type RefObject,
} from 'react';
import type { Thread } from '../core/model';
import { createChime, soundSwitch } from '../core/sound';
import type { ChatGrant } from '../core/types';
import { Avatar } from './avatar';
import { ChatThread } from './chat_thread';
import { ChatProvider, useChatText } from './context';
import { useStore } from './hooks';
import { loadThreadClient } from './load_thread_client';
import { followVisualViewport, matches, useMediaQuery } from './media';
import { ShareLink } from './share_link';

export interface ClientChatWidgetProps {
  tripId: string;
  shareToken: string;
  /** Stands below the advisor's name as "Re: …"; without it there is no such line. */
  tripTitle?: string;
  /** Origin of the chat server; the page's own by default. */
  baseUrl?: string;
  /** To open and close it from outside, together with `onOpenChange`; left out, it keeps that state by itself. */
  isOpen?: boolean;
  onOpenChange?: (isOpen: boolean) => void;
  /** False: it makes none, and has no switch for it. */
  hasSound?: boolean;
}

/** A phone, upright or on its side; the same condition is in widget.css. */
const FULL_SCREEN = '(max-width: 639.98px), (max-height: 499.98px) and (pointer: coarse)';

export function ClientChatWidget({
  tripId,
  shareToken,
  tripTitle = '',
  baseUrl = '',
  isOpen,
  onOpenChange,
  hasSound = true,
}: ClientChatWidgetProps) {
  const link = useMemo(() => new ShareLink({ baseUrl, tripId, shareToken }), [baseUrl, tripId, shareToken]);
  const session = useGrantedThread(link);
  const [isOpenInside, setIsOpenInside] = useState(false);
  const setIsOpen = (next: boolean) => {
    setIsOpenInside(next);
    onOpenChange?.(next);
  };
  if (!session) return null;
  return (
    <Widget
      key={session.thread.snapshot().conversationId}
      thread={session.thread}
      grant={session.grant}
      baseUrl={baseUrl}
      tripTitle={tripTitle}
      isOpen={isOpen ?? isOpenInside}
      setIsOpen={setIsOpen}
      hasSound={hasSound}
    />
  );
}

interface Session {
  readonly link: ShareLink;
  readonly grant: ChatGrant;
  readonly thread: Thread;
}

// The thread is open from the moment of the grant on: the button counts what arrives while the window is closed.
function useGrantedThread(link: ShareLink): Session | null {
  const [session, setSession] = useState<Session | null>(null);
  useEffect(() => {
    const end = new AbortController();
    let endChat = () => {};

    const begin = async (grant: ChatGrant) => {
      const core = await link.retryUntilDone(loadThreadClient, end.signal);
      if (!core || end.signal.aborted) return;
      endChat();
      const client = new core.ThreadClient({
        baseUrl: link.address.baseUrl,
        me: { type: 'client', id: grant.clientId, name: grant.clientName ?? '' },
        credential: {
          kind: 'chatToken',
          token: grant.chatToken,
          renew: async () => {
            const renewed = await link.renew();
            // The trip got another client: this is somebody else's conversation, not the one on the screen.
            if (renewed.conversationId !== grant.conversationId) void begin(renewed);
            return renewed.chatToken;
          },
        },
      });
      const thread = client.thread(grant.conversationId);
      thread.open();
      endChat = () => {
        thread.close();
        client.dispose();
      };
      setSession({ link, grant, thread });
    };

    void link.obtain(end.signal).then((grant) => {
      if (grant) void begin(grant);
    });
    return () => {
      end.abort();
      endChat();
      setSession(null);
    };
  }, [link]);
  return session?.link === link ? session : null;
}

interface WidgetProps {
  thread: Thread;
  grant: ChatGrant;
  baseUrl: string;
  tripTitle: string;
  isOpen: boolean;
  setIsOpen: (isOpen: boolean) => void;
  hasSound: boolean;
}

function Widget({ thread, grant, baseUrl, tripTitle, isOpen, setIsOpen, hasSound }: WidgetProps) {
  const { strings } = useChatText();
  const launcher = useRef<HTMLButtonElement>(null);
  const frame = useRef<HTMLDivElement>(null);
  const isFullScreen = useMediaQuery(FULL_SCREEN);
  const isShown = useExit(isOpen, frame);
  useChime(thread, isOpen, hasSound);
  useFocus(isOpen, frame, launcher);

  const name = grant.advisorName || strings.advisor;
  return (
    <div className="tc-widget" data-open={isOpen}>
      {isShown && (
        <ChatWindow
          frame={frame}
          thread={thread}
          name={name}
          avatarUrl={absoluteUrl(grant.advisorAvatar, baseUrl)}
          baseUrl={baseUrl}
          tripTitle={tripTitle}
          isOpen={isOpen}
          isFullScreen={isFullScreen}
          hasSound={hasSound}
          onClose={() => setIsOpen(false)}
        />
      )}
      <Launcher button={launcher} thread={thread} isOpen={isOpen} onClick={() => setIsOpen(!isOpen)} />
    </div>
  );
}

interface LauncherProps {
  button: RefObject<HTMLButtonElement | null>;
  thread: Thread;
  isOpen: boolean;
  onClick: () => void;
}

function Launcher({ button, thread, isOpen, onClick }: LauncherProps) {
  const { strings } = useChatText();
  const { unseenCount } = useStore(thread);
  const count = isOpen ? 0 : unseenCount;
  return (
    <button
      ref={button}
      type="button"
      className="tc-launcher"
      aria-label={strings.openChat(count)}
      aria-haspopup="dialog"
      aria-expanded={isOpen}
      onClick={onClick}
    >
      <svg className="tc-launcher-chat" viewBox="0 0 28 28" aria-hidden="true">
        <path
          d={
            'M14 4C7.6 4 2.6 8.2 2.6 13.5c0 3 1.7 5.7 4.3 7.4-.1 1.3-.7 2.7-1.8 3.8-.3.3-.1.9.4.9 ' +
            '2.4-.1 4.5-1 6-2.4.8.1 1.7.2 2.5.2 6.4 0 11.4-4.3 11.4-9.9S20.4 4 14 4Z'
          }
        />
      </svg>
      <svg className="tc-launcher-down" viewBox="0 0 28 28" aria-hidden="true">
        <path d="m7 11 7 7 7-7" />
      </svg>
      {count > 0 && (
        <span className="tc-badge" aria-hidden="true" dir="ltr">
          {count > 99 ? '99+' : count}
        </span>
      )}
    </button>
  );
}

interface ChatWindowProps {
  frame: RefObject<HTMLDivElement | null>;
  thread: Thread;
  name: string;
  avatarUrl: string | null;
  baseUrl: string;
  tripTitle: string;
  isOpen: boolean;
  isFullScreen: boolean;
  hasSound: boolean;
  onClose: () => void;
}

function ChatWindow(props: ChatWindowProps) {
  const { frame, thread, name, avatarUrl, baseUrl, tripTitle, isOpen, isFullScreen, hasSound, onClose } = props;
  const { locale, strings } = useChatText();
  useScrollLock(isFullScreen && isOpen);
  useVisibleArea(isFullScreen && isOpen, frame);
  // Clients do not sign in, so a session that is over is shown to them like a lost connection.
  const words = useMemo(
    () => ({ ...strings, signedOut: strings.chatUnavailable, refused: strings.chatUnavailable }),
    [strings],
  );

  const onKeyDown = (event: KeyboardEvent<HTMLDivElement>) => {
    if (event.defaultPrevented || event.nativeEvent.isComposing) return;
    if (event.key === 'Escape') {
      event.stopPropagation();
      onClose();
    } else if (event.key === 'Tab' && isFullScreen) {
      keepFocusInside(event, frame.current!);
    }
  };

  return (
    <div
      ref={frame}
      className="tc-window"
      role="dialog"
      aria-modal={isFullScreen}
      aria-label={strings.chatWith(name)}
      tabIndex={-1}
      inert={!isOpen}
      data-closing={!isOpen}
      onKeyDown={onKeyDown}
    >
      <div className="tc-window-header">
        <Avatar className="tc-window-avatar" name={name} url={avatarUrl} />
        <div className="tc-window-title">
          <div className="tc-window-name" dir="auto">
            {name}
          </div>
          {tripTitle && (
            <div className="tc-window-trip" dir="auto">
              <bdi>{strings.re('')}</bdi>
              {tripTitle}
            </div>
          )}
        </div>
        {hasSound && <SoundButton />}
        <button type="button" className="tc-window-button" aria-label={strings.closeChat} onClick={onClose}>
          <svg viewBox="0 0 20 20" aria-hidden="true">
            <path d="m5 7.5 5 5 5-5" />
          </svg>
        </button>
      </div>
      <div className="tc-window-body">
        <ChatProvider locale={locale} strings={words}>
          <ChatThread
            thread={thread}
            otherName={name}
            otherAvatarUrl={avatarUrl}
            autoFocus={!isTouch()}
            emptyText={strings.emptyWidget}
            onEscape={onClose}
            baseUrl={baseUrl}
            hasSound={hasSound}
          />
        </ChatProvider>
      </div>
    </div>
  );
}

function SoundButton() {
  const { strings } = useChatText();
  const isOn = useStore(soundSwitch);
  return (
    <button
      type="button"
      className="tc-window-button"
      aria-label={strings.sound}
      aria-pressed={isOn}
      title={strings.sound}
      onClick={() => soundSwitch.set(!isOn)}
    >
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <path d="M5.5 13V9a4.5 4.5 0 0 1 9 0v4l1.5 1.5H4zM8.5 17h3" />
        {!isOn && <path d="m3 3 14 14" />}
      </svg>
    </button>
  );
}

// On a touch screen the focus in the input would raise the keyboard, which covers half of the messages.
function isTouch(): boolean {
  return matches('(pointer: coarse)');
}

/** A path that the server gave, as an address that holds on another origin's page too. */
function absoluteUrl(url: string | null, baseUrl: string): string | null {
  if (!url || !/^https?:/.test(baseUrl)) return url || null;
  try {
    return new URL(url, baseUrl).href;
  } catch {
    return null;
  }
}

// Keeps the closed window mounted during its closing animation. Without an animation (reduced motion, a page that
// overrides the styles) no event would come, so it does not wait.
function useExit(isOpen: boolean, frame: RefObject<HTMLElement | null>): boolean {
  const [isShown, setIsShown] = useState(isOpen);
  if (isOpen && !isShown) setIsShown(true);
  useLayoutEffect(() => {
    if (isOpen || !isShown) return;
    let isCurrent = true;
    const animations = frame.current?.getAnimations?.() ?? [];
    void Promise.allSettled(animations.map((animation) => animation.finished)).then(() => {
      if (isCurrent) setIsShown(false);
    });
    return () => {
      isCurrent = false;
    };
  }, [isOpen, isShown, frame]);
  return isShown;
}

// Into the window when it opens (ChatThread itself takes the focus where there is no touch), back to the button when it
// closes. When a script closes it while the focus is elsewhere on the page, the focus stays there.
function useFocus(
  isOpen: boolean,
  frame: RefObject<HTMLElement | null>,
  launcher: RefObject<HTMLElement | null>,
): void {
  const wasOpen = useRef(false);
  useLayoutEffect(() => {
    if (isOpen === wasOpen.current) return;
    wasOpen.current = isOpen;
    if (isOpen) {
      if (isTouch()) frame.current?.focus({ preventScroll: true });
    } else if (focusIsIn(frame.current) || focusIsIn(launcher.current) || focusIsNowhere()) {
      launcher.current?.focus({ preventScroll: true });
    }
  }, [isOpen, frame, launcher]);
}

// A shadow root has a focus of its own.
function focusIsIn(element: HTMLElement | null): boolean {
  const root = element?.getRootNode();
  return (root instanceof Document || root instanceof ShadowRoot) && element!.contains(root.activeElement);
}

// Whether nothing has the focus: it falls to the body when its element becomes inert.
function focusIsNowhere(): boolean {
  return document.activeElement === null || document.activeElement === document.body;
}

function useChime(thread: Thread, isOpen: boolean, hasSound: boolean): void {
  const isOpenNow = useRef(isOpen);
  useLayoutEffect(() => {
    isOpenNow.current = isOpen;
  }, [isOpen]);
  useEffect(() => {
    if (!hasSound) return;
    const chime = createChime();
    const end = thread.onIncoming(() => {
      if (!isOpenNow.current) chime.play();
    });
    return () => {
      end();
      chime.dispose();
    };
  }, [thread, hasSound]);
}

// Keeps the page from scrolling behind a window that fills the screen.
function useScrollLock(isLocked: boolean): void {
  useLayoutEffect(() => {
    if (!isLocked) return;
    const { style } = document.documentElement;
    const before = style.overflow;
    style.overflow = 'hidden';
    return () => {
      style.overflow = before;
    };
  }, [isLocked]);
}

// On iOS the keyboard lies over the page and moves its visible part, and `dvh` reflects neither. While the keyboard is
// shown, the window is placed on the visible part. A pinch zoom changes the visual viewport as well, but must not move
// the window.
function useVisibleArea(isActive: boolean, frame: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const style = frame.current?.style;
    if (!isActive || !style) return;
    const end = followVisualViewport((viewport) => {
      const hasKeyboard = viewport.scale < 1.01 && document.documentElement.clientHeight - viewport.height > 80;
      style.setProperty('inset-block-start', hasKeyboard ? `${viewport.offsetTop}px` : '');
      style.setProperty('block-size', hasKeyboard ? `${viewport.height}px` : '');
    });
    return () => {
      end();
      style.removeProperty('inset-block-start');
      style.removeProperty('block-size');
    };
  }, [isActive, frame]);
}

const TABBABLE = 'a[href], button, input, textarea, [tabindex]';

function keepFocusInside(event: KeyboardEvent, frame: HTMLElement): void {
  const stops = [...frame.querySelectorAll<HTMLElement>(TABBABLE)].filter(
    (element) => element.tabIndex >= 0 && !element.matches(':disabled') && element.getClientRects().length > 0,
  );
  const [first, last] = [stops[0], stops.at(-1)];
  if (!first || !last) return;
  const focused = (frame.getRootNode() as Document | ShadowRoot).activeElement;
  if (event.shiftKey ? focused === first || focused === frame : focused === last) {
    event.preventDefault();
    (event.shiftKey ? last : first).focus();
  }
}
