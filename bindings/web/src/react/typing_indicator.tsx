// Three dots in a bubble: somebody types. Silent; the thread's announcer says it in words.
export interface TypingIndicatorProps {
  /** On the side of the person who looks: a colleague writes. */
  isOwn?: boolean;
}

export function TypingIndicator({ isOwn = false }: TypingIndicatorProps) {
  return (
    <span className="tc-typing" data-own={isOwn} aria-hidden="true">
      <span className="tc-dot" />
      <span className="tc-dot" />
      <span className="tc-dot" />
    </span>
  );
}
