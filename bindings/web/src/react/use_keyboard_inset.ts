// On phones the keyboard lies over the page without changing its size; only the visual viewport changes.
import { useLayoutEffect, type RefObject } from 'react';
import { followVisualViewport } from './media';

/** Sets `--tc-keyboard-inset` on the element: how much of its lower end the keyboard covers. */
export function useKeyboardInset(element: RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const target = element.current;
    if (!target) return;
    let shown = 0;
    return followVisualViewport((viewport) => {
      const end = viewport.offsetTop + viewport.height;
      const keyboard = document.documentElement.clientHeight - end;
      // A pinch zoom makes the visual viewport smaller too, and a scrollbar a little.
      const isShown = viewport.scale < 1.01 && keyboard > 80;
      const covered = target.getBoundingClientRect().bottom - end;
      const inset = isShown ? Math.round(Math.max(0, Math.min(covered, keyboard))) : 0;
      if (inset === shown) return;
      shown = inset;
      target.style.setProperty('--tc-keyboard-inset', `${inset}px`);
    });
  }, [element]);
}
