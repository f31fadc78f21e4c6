// Media queries as state.
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
