// A box that a button opens and closes, until Escape or until something else gets the pointer or the focus. The attribute
// `popover` would do most of it, but is younger than some phones in use.
import { useEffect, useRef, useState } from 'react';

export function useDisclosure() {
  const [isOpen, setIsOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen) return;
    const end = new AbortController();
    const options = { signal: end.signal, capture: true };
    const onElsewhere = ({ target }: Event) => {
      const isHere = [button, box].some(({ current }) => target instanceof Node && current?.contains(target));
      if (!isHere) setIsOpen(false);
    };
    document.addEventListener('pointerdown', onElsewhere, options);
    document.addEventListener('focusin', onElsewhere, options);
    document.addEventListener(
      'keydown',
      (event) => {
        if (event.key !== 'Escape') return;
        event.stopPropagation();
        setIsOpen(false);
        button.current?.focus();
      },
      options,
    );
    return () => end.abort();
  }, [isOpen]);
  return { isOpen, toggle: () => setIsOpen(!isOpen), button, box };
}
