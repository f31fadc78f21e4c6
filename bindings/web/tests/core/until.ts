import type { Store } from '../../src/core';

/** The first snapshot for which `holds`; rejects with the last one when it never comes. */
export function until<S>(store: Store<S>, holds: (snapshot: S) => boolean, ms = 10_000): Promise<S> {
  return new Promise((found, failed) => {
    const check = (): void => {
      const snapshot = store.snapshot();
      if (!holds(snapshot)) return;
      clearTimeout(timer);
      end();
      found(snapshot);
    };
    const timer = setTimeout(() => {
      end();
      failed(new Error(`never came: ${holds}\n${JSON.stringify(store.snapshot(), null, 1).slice(0, 3000)}`));
    }, ms);
    const end = store.subscribe(check);
    check();
  });
}
