// The pill with the six emoji that floats above a bubble, as a toolbar: one Tab stop, arrows within.
import { useLayoutEffect, useRef, type KeyboardEvent } from 'react';
import { EMOJI, type Emoji } from '../core/types';
import { useChatText } from './context';

export interface ReactionPickerProps {
  /** One's present reaction. */
  selected: Emoji | null;
  onPick: (emoji: Emoji) => void;
  /** Escape. */
  onClose: () => void;
  /** Takes the focus, for whoever opened it with a key. */
  autoFocus?: boolean;
}

/** Its parent is the bubble's box, above which it floats, or below where the top of the list is too near. */
export function ReactionPicker({ selected, onPick, onClose, autoFocus = false }: ReactionPickerProps) {
  const { strings } = useChatText();
  const toolbar = useRef<HTMLDivElement>(null);

  useLayoutEffect(() => {
    const element = toolbar.current!;
    const bubble = element.parentElement!.getBoundingClientRect();
    const bounds = element.closest('.tc-scroller')?.getBoundingClientRect();
    if (!bounds) return;
    const { offsetHeight, offsetWidth } = element;
    const fitsAbove = bubble.top - offsetHeight - 2 >= bounds.top;
    const fitsBelow = bubble.bottom + offsetHeight + 2 <= bounds.bottom;
    element.dataset.side = fitsAbove ? 'above' : fitsBelow ? 'below' : 'inside';
    // A message taller than the view: at the top of what is seen of it.
    element.style.setProperty('--tc-picker-top', `${Math.max(bounds.top - bubble.top, 0) + 6}px`);
    // The side at which it is aligned, and how far it would extend beyond the list's edge there.
    const isAtRight = getComputedStyle(element).direction === 'rtl' ? !isOwnSide(element) : isOwnSide(element);
    const left = isAtRight ? bubble.right - offsetWidth : bubble.left;
    const shift = Math.max(bounds.left + 6 - left, 0) || Math.min(bounds.right - 6 - left - offsetWidth, 0);
    element.style.setProperty('--tc-picker-shift', `${shift}px`);
  }, []);

  useLayoutEffect(() => {
    if (autoFocus) focusButton(toolbar.current!, selected ? EMOJI.indexOf(selected) : 0);
  }, [autoFocus]);

  const onKeyDown = (event: KeyboardEvent) => {
    const at = EMOJI.indexOf((event.target as HTMLElement).dataset.emoji as Emoji);
    const step = getComputedStyle(toolbar.current!).direction === 'rtl' ? -1 : 1;
    const moves: Record<string, number> = {
      ArrowRight: at + step,
      ArrowLeft: at - step,
      Home: 0,
      End: EMOJI.length - 1,
    };
    const to = moves[event.key];
    if (to !== undefined) focusButton(toolbar.current!, (to + EMOJI.length) % EMOJI.length);
    else if (event.key === 'Escape') onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  const tabStop = selected ?? EMOJI[0];
  return (
    <div ref={toolbar} className="tc-picker" role="toolbar" aria-label={strings.react} onKeyDown={onKeyDown}>
      {EMOJI.map((emoji) => (
        <button
          key={emoji}
          type="button"
          className="tc-pick"
          data-emoji={emoji}
          aria-label={strings.emoji[emoji]}
          aria-pressed={emoji === selected}
          tabIndex={autoFocus && emoji === tabStop ? 0 : -1}
          onClick={() => onPick(emoji)}
        >
          {emoji}
        </button>
      ))}
    </div>
  );
}

function isOwnSide(element: HTMLElement): boolean {
  return element.closest<HTMLElement>('[data-own]')?.dataset.own === 'true';
}

function focusButton(toolbar: HTMLElement, index: number): void {
  toolbar.querySelectorAll<HTMLElement>('.tc-pick')[index]?.focus({ preventScroll: true });
}
