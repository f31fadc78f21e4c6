// What was being written in one conversation, kept across reloads.
import type { Environment } from './environment';

type Storage = Environment['localStorage'];

export function readDraft(storage: Storage, key: string): string {
  try {
    return storage?.getItem(key) ?? '';
  } catch {
    return '';
  }
}

export function writeDraft(storage: Storage, key: string, text: string): void {
  try {
    if (text === '') storage?.removeItem(key);
    else storage?.setItem(key, text);
  } catch {
    // The storage is full or closed to this page: the draft lives as long as the input.
  }
}
