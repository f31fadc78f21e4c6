// The document's title: that of the page, preceded by the number of unread messages within `UnreadContext`.
import { createContext, useContext, useEffect } from 'react';

export const UnreadContext = createContext(0);

export function useTitle(title: string) {
  const unread = useContext(UnreadContext);
  useEffect(() => {
    document.title = unread > 0 ? `(${unread}) ${title}` : title;
  }, [title, unread]);
}
