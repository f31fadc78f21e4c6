// The language of the components. Without a provider they speak the browser's language where there is a table for it.
import { createContext, useContext, useMemo, type ReactNode } from 'react';
import { stringsFor, type ChatStrings } from './strings';

export interface ChatText {
  /** For Intl. */
  readonly locale: string;
  readonly strings: ChatStrings;
}

const TextContext = createContext<ChatText | null>(null);

let browserText: ChatText | undefined;

/** The words and the locale for the component that calls. */
export function useChatText(): ChatText {
  const given = useContext(TextContext);
  return given ?? (browserText ??= stringsFor(globalThis.navigator?.language));
}

export interface ChatProviderProps {
  /** A BCP 47 tag; the browser's by default, and where this is none. */
  locale?: string;
  /** Entries that replace the table's. Keep the object stable between renders. */
  strings?: Partial<ChatStrings>;
  children?: ReactNode;
}

export function ChatProvider({ locale, strings, children }: ChatProviderProps) {
  const text = useMemo(() => {
    const found = stringsFor(locale, globalThis.navigator?.language);
    return strings ? { ...found, strings: { ...found.strings, ...strings } } : found;
  }, [locale, strings]);
  return <TextContext value={text}>{children}</TextContext>;
}
