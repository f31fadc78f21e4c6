// The conversations whose threads are on this page now: the thread itself makes their sound, and no notification is shown.
import { useEffect } from 'react';

const shown = new Set<string>();

export function useShown(conversationId: string) {
  useEffect(() => {
    shown.add(conversationId);
    return () => {
      shown.delete(conversationId);
    };
  }, [conversationId]);
}

export function isShown(conversationId: string): boolean {
  return shown.has(conversationId);
}

/** Whether somebody looks at the conversation that a notification leads to. */
export function isInView(page: string): boolean {
  const id = new URL(page, window.location.origin).searchParams.get('id');
  return id !== null && isShown(id) && document.visibilityState === 'visible' && document.hasFocus();
}
