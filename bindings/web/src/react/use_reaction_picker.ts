// Which message has its picker open, and by what: the mouse over it, the focus on it, a key pressed on it, or a long press.
import { useCallback, useEffect, useRef, useState, type PointerEvent, type RefObject } from 'react';
import type { ThreadRow } from '../core/model';

const LONG_PRESS_MS = 450;
/** A finger that moved further than this scrolls. */
const LONG_PRESS_SLOP = 10;
/** On its way from the bubble to the picker the pointer may leave both for a moment. */
const LEAVE_MS = 150;
/** The click and the menu that belong to a touch come this soon after its end. */
const CLICK_MS = 400;

export interface OpenPicker {
  readonly key: string;
  readonly by: 'hover' | 'focus' | 'key' | 'press';
}

export interface ReactionPickerState {
  readonly open: OpenPicker | null;
  show(picker: OpenPicker | null): void;
  onHover(row: ThreadRow, event: PointerEvent<HTMLElement>): void;
  onLeave(row: ThreadRow): void;
  onTouch(row: ThreadRow, event: PointerEvent<HTMLElement>): void;
}

export function useReactionPicker(list: RefObject<HTMLElement | null>, onDismiss: (key: string) => void): ReactionPickerState {
  const [open, setOpen] = useState<OpenPicker | null>(null);
  const leaveTimer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const pointer = useRef({ x: -1, y: -1 });
  const endPress = useRef<(() => void) | null>(null);

  useEffect(
    () => () => {
      clearTimeout(leaveTimer.current);
      endPress.current?.();
    },
    [],
  );

  const show = useCallback((picker: OpenPicker | null) => {
    clearTimeout(leaveTimer.current);
    setOpen(picker);
  }, []);

  const onHover = useCallback((row: ThreadRow, event: PointerEvent<HTMLElement>) => {
    if (event.pointerType === 'touch') return;
    const { clientX: x, clientY: y } = event;
    const hasMoved = x !== pointer.current.x || y !== pointer.current.y;
    pointer.current = { x, y };
    clearTimeout(leaveTimer.current);
    // Browsers also send move events when the list scrolls under a resting mouse: then no picker must open for each row
    // that passes.
    if (!hasMoved || row.status !== 'sent') return;
    setOpen((now) =>
      now && (now.by === 'key' || now.by === 'press' || now.key === row.key) ? now : { key: row.key, by: 'hover' },
    );
  }, []);

  const onLeave = useCallback((row: ThreadRow) => {
    clearTimeout(leaveTimer.current);
    leaveTimer.current = setTimeout(
      () => setOpen((now) => (now?.by === 'hover' && now.key === row.key ? null : now)),
      LEAVE_MS,
    );
  }, []);

  const openKey = open?.key;
  const onTouch = useCallback(
    (row: ThreadRow, event: PointerEvent<HTMLElement>) => {
      endPress.current?.();
      // On the message that is open already the browser's own long press selects text.
      if (event.pointerType !== 'touch' || row.status !== 'sent' || openKey === row.key) return;
      endPress.current = followPress(event, () => setOpen({ key: row.key, by: 'press' }));
    },
    [openKey],
  );

  const close = useCallback((key: string) => setOpen((now) => (now?.key === key ? null : now)), []);
  useClosingElsewhere(list, open, close, onDismiss);

  return { open, show, onHover, onLeave, onTouch };
}

/** A long press of a finger that went down just now. Returns what ends the watch over it. */
function followPress(event: PointerEvent<HTMLElement>, onPress: () => void): () => void {
  const { clientX, clientY, currentTarget: target } = event;
  const ends = new AbortController();
  const { signal } = ends;
  let isPressed = false;
  const timer = setTimeout(() => {
    isPressed = true;
    onPress();
  }, LONG_PRESS_MS);
  const end = () => {
    clearTimeout(timer);
    setTimeout(() => ends.abort(), isPressed ? CLICK_MS : 0);
  };
  const onMove = (move: globalThis.PointerEvent) => {
    if (Math.hypot(move.clientX - clientX, move.clientY - clientY) > LONG_PRESS_SLOP) clearTimeout(timer);
  };
  const onClick = (click: MouseEvent) => {
    if (!isPressed || (click.target as Element).closest('.tc-picker')) return;
    click.preventDefault();
    click.stopPropagation();
  };
  target.addEventListener('pointermove', onMove, { signal });
  target.addEventListener('pointerup', end, { signal });
  target.addEventListener('pointercancel', end, { signal });
  target.addEventListener('contextmenu', (menu) => menu.preventDefault(), { signal });
  target.addEventListener('click', onClick, { signal, capture: true });
  return end;
}

// A picker that was opened by a press or a key stays until something else is touched, or until Escape.
function useClosingElsewhere(
  list: RefObject<HTMLElement | null>,
  open: OpenPicker | null,
  close: (key: string) => void,
  onDismiss: (key: string) => void,
): void {
  const openKey = open?.key;
  const by = open?.by;
  const isModal = by === 'press' || by === 'key';
  useEffect(() => {
    const root = list.current?.getRootNode();
    if (!isModal || !root || !openKey) return;
    const listening = new AbortController();
    const { signal } = listening;
    const isInPicker = (event: Event) =>
      event.composedPath().some((node) => node instanceof Element && node.matches('.tc-picker'));
    const onDown = (event: Event) => {
      if (isInPicker(event)) return;
      close(openKey);
      // The tap that closes it must have no other effect.
      if (by === 'press') swallowClick();
    };
    root.addEventListener('pointerdown', onDown, { signal, capture: true });
    if (root !== document) {
      // Outside a shadow root, the event's target is the host, whatever was touched in it.
      const { host } = root as ShadowRoot;
      document.addEventListener('pointerdown', (event) => event.composedPath().includes(host) || onDown(event), {
        signal,
        capture: true,
      });
    }
    // A dialog around the thread closes on Escape too, and listens on the document: this must come before it.
    window.addEventListener(
      'keydown',
      (event) => {
        if (event.key !== 'Escape') return;
        event.preventDefault();
        event.stopPropagation();
        onDismiss(openKey);
      },
      { signal, capture: true },
    );
    return () => listening.abort();
  }, [isModal, by, openKey, list, close, onDismiss]);
}

function swallowClick(): void {
  const ends = new AbortController();
  setTimeout(() => ends.abort(), CLICK_MS);
  window.addEventListener(
    'click',
    (click) => {
      click.preventDefault();
      click.stopPropagation();
    },
    { signal: ends.signal, capture: true, once: true },
  );
}
