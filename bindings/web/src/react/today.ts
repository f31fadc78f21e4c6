// Labels such as "Yesterday" hold until midnight.
import { useEffect, useState } from 'react';

/** How many milliseconds until the viewer's next calendar day begins; at least one. */
export function untilMidnight(now: Date): number {
  const midnight = new Date(now.getFullYear(), now.getMonth(), now.getDate() + 1);
  return Math.max(1, midnight.getTime() - now.getTime());
}

/** A moment of the viewer's present day. Renders again when the next one begins, also when the device slept. */
export function useToday(): Date {
  const [today, setToday] = useState(() => new Date());
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const check = () => {
      clearTimeout(timer);
      const now = new Date();
      setToday((shown) => (shown.toDateString() === now.toDateString() ? shown : now));
      timer = setTimeout(check, untilMidnight(now));
    };
    check();
    document.addEventListener('visibilitychange', check);
    return () => {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', check);
    };
  }, []);
  return today;
}
