// The listeners to a change; every store of the core has some.

export class Listeners<T extends unknown[] = []> {
  #listeners: readonly ((...args: T) => void)[] = [];

  get isEmpty(): boolean {
    return this.#listeners.length === 0;
  }

  /** Returns a function that removes it. The same function may be added twice, and is then called twice. */
  add(listener: (...args: T) => void): () => void {
    const own = (...args: T): void => listener(...args);
    this.#listeners = [...this.#listeners, own];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== own);
    };
  }

  notify(...args: T): void {
    for (const listener of this.#listeners) {
      try {
        listener(...args);
      } catch (error) {
        // Reported as an uncaught error of the page; the other listeners are called nevertheless.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
