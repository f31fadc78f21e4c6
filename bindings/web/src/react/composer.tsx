// The input: grows with its text to five lines, Enter sends, Shift+Enter breaks the line.
import { useId, useImperativeHandle, useLayoutEffect, useRef, type KeyboardEvent, type Ref } from 'react';
import { isBlank } from '../core/blank';
import { useChatText } from './context';
import { localeOfWords } from './strings';
import { codePoints } from './text_parts';

/** The wire's bound, in code points. */
export const MAX_LENGTH = 10_000;

export interface ComposerProps {
  text: string;
  onText: (text: string) => void;
  /** With the text as it stands; never blank, never too long. */
  onSend: (text: string) => void;
  /** A person changed the text. */
  onTyped?: () => void;
  /** The focus left the input. */
  onLeave?: () => void;
  onEscape?: (() => void) | undefined;
  autoFocus?: boolean;
  handle?: Ref<ComposerHandle>;
}

export interface ComposerHandle {
  focus(): void;
}

export function Composer({ text, onText, onSend, onTyped, onLeave, onEscape, autoFocus, handle }: ComposerProps) {
  const words = useChatText();
  const { strings } = words;
  const input = useRef<HTMLTextAreaElement>(null);
  const problemId = useId();
  const trimmed = text.trim();
  // Counted only when the text has more UTF-16 units than the limit: it never has more code points than units.
  const excess = trimmed.length > MAX_LENGTH ? Math.max(0, codePoints(trimmed) - MAX_LENGTH) : 0;
  const canSend = excess === 0 && !isBlank(text);

  useImperativeHandle(handle, () => ({ focus: () => input.current?.focus({ preventScroll: true }) }), []);
  useLayoutEffect(() => {
    if (!autoFocus) return;
    const element = input.current!;
    element.focus({ preventScroll: true });
    element.setSelectionRange(element.value.length, element.value.length);
  }, [autoFocus]);

  const send = () => {
    if (!canSend) return;
    onSend(text);
    // The button, which may have had the focus, is disabled now; and on a phone this keeps the keyboard up.
    input.current?.focus({ preventScroll: true });
  };

  const onKeyDown = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    // An input method uses Enter and Escape itself. In Safari the composition has ended by then, and only key code 229
    // shows it.
    if (event.nativeEvent.isComposing || event.keyCode === 229) return;
    if (event.key === 'Enter' && !event.shiftKey && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      send();
    } else if (event.key === 'Escape' && onEscape) {
      event.stopPropagation();
      onEscape();
    }
  };

  return (
    <form
      className="tc-composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      {excess > 0 && (
        <p id={problemId} className="tc-problem" role="alert">
          {strings.tooLong(excess, excess.toLocaleString(localeOfWords(words)))}
        </p>
      )}
      <div className="tc-field">
        <div className="tc-grow">
          <textarea
            ref={input}
            className="tc-input"
            dir="auto"
            rows={1}
            value={text}
            placeholder={strings.message}
            aria-label={strings.message}
            aria-invalid={excess > 0 || undefined}
            aria-describedby={excess > 0 ? problemId : undefined}
            enterKeyHint="send"
            autoComplete="off"
            onChange={(event) => {
              onText(event.currentTarget.value);
              // Emptying the input ends the typing; the owner reports that.
              if (event.currentTarget.value !== '') onTyped?.();
            }}
            onKeyDown={onKeyDown}
            onBlur={onLeave}
          />
          {/* The same text once more gives the height: to measure the input itself would move the list each time. */}
          <div className="tc-mirror" aria-hidden="true">
            {`${text}\u200b`}
          </div>
        </div>
        <button
          type="submit"
          className="tc-send"
          aria-label={strings.send}
          disabled={!canSend}
          // The focus stays in the input, and with it the keyboard of a phone.
          onPointerDown={(event) => event.preventDefault()}
          onMouseDown={(event) => event.preventDefault()}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M8 13.2V3M3.6 7.2 8 2.8l4.4 4.4" />
          </svg>
        </button>
      </div>
    </form>
  );
}
