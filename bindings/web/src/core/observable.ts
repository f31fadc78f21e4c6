// Who wants to hear of a change: what every store of the core is made of.

export class Listeners<T extends unknown[] = []> {
  #listeners: readonly ((...args: T) => void)[] = [];

  get isEmpty(): boolean {
    return this.#listeners.length === 0;
  }

  /** Returns the end of it. The same function may be added twice, and is then called twice. */
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
        // Whoever listens is a guest: its failure is its page's to hear of, and stops nothing here.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
