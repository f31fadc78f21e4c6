// Media queries as state, and the changes of the visual viewport.
import { useCallback, useSyncExternalStore } from 'react';

export function matches(query: string): boolean {
  return globalThis.matchMedia?.(query).matches ?? false;
}

export function useMediaQuery(query: string): boolean {
  const subscribe = useCallback(
    (onChange: () => void) => {
      const list = globalThis.matchMedia?.(query);
      list?.addEventListener('change', onChange);
      return () => list?.removeEventListener('change', onChange);
    },
    [query],
  );
  return useSyncExternalStore(
    subscribe,
    () => matches(query),
    () => false,
  );
}

/** Calls `follow` now and whenever the visual viewport, the part of the page that one sees, moves or changes its size.
 * Returns the end of it. */
export function followVisualViewport(follow: (viewport: VisualViewport) => void): () => void {
  const viewport = globalThis.visualViewport;
  if (!viewport) return () => {};
  const events = ['resize', 'scroll'];
  const onChange = () => follow(viewport);
  onChange();
  for (const event of events) viewport.addEventListener(event, onChange);
  return () => {
    for (const event of events) viewport.removeEventListener(event, onChange);
  };
}
