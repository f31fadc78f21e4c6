// Links in messages, found as soon as the finder of links is there. Links are only underlined, so nothing moves when
// they are found.
import type { LinkifyIt } from 'linkify-it';
import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { loadLinkFinder, mayHaveLink, textParts, type TextPart } from './text_parts';

let finder: LinkifyIt | null = null;
let isLoading = false;
const waiting = new Set<() => void>();

function load(): void {
  if (isLoading) return;
  isLoading = true;
  loadLinkFinder().then(
    (loaded) => {
      finder = loaded;
      for (const onChange of waiting) onChange();
    },
    // The network failed: the text is there without links, and the next such message tries again.
    () => {
      isLoading = false;
    },
  );
}

function subscribe(onChange: () => void): () => void {
  waiting.add(onChange);
  return () => waiting.delete(onChange);
}

const never = () => () => {};

export function useTextParts(content: string): TextPart[] {
  const isCandidate = useMemo(() => mayHaveLink(content), [content]);
  const found = useSyncExternalStore(
    isCandidate ? subscribe : never,
    () => (isCandidate ? finder : null),
    () => null,
  );
  useEffect(() => {
    if (isCandidate) load();
  }, [isCandidate]);
  return useMemo(() => textParts(content, found), [content, found]);
}
