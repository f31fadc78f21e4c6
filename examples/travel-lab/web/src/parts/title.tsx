// The browser's title: of the page, with the number of unread messages before it where somebody counts them.
import { createContext, useContext, useEffect } from 'react';

export const UnreadContext = createContext(0);

export function useTitle(title: string) {
  const unread = useContext(UnreadContext);
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) ${title}` : title;
  }, [title, unread]);
}
