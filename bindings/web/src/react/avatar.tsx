// A person's picture, or the initials while there is none. The size is the caller's: give a class with a width, a
// height and a font size.
import { useState } from 'react';
import { graphemes } from './graphemes';

/** The first letters of the first and the last word: "María José Ortiz" gives "MO". */
export function initials(name: string): string {
  const words = name.split(/\s+/u).filter((word) => /[\p{L}\p{N}]/u.test(word));
  const ends = words.length > 1 ? [words[0]!, words.at(-1)!] : words;
  return ends.map((word) => graphemes(word.replace(/^[^\p{L}\p{N}]+/u, ''))[0] ?? '').join('').toLocaleUpperCase();
}

// An http(s) address or a path, a blob of this page, or a data URL of an image.
function isPicture(url: string): boolean {
  try {
    return /^(https?|blob):|^data:image\//.test(new URL(url, 'https://page.example').href);
  } catch {
    return false;
  }
}

export interface AvatarProps {
  name: string;
  /** Null, or no picture's address, or a picture that cannot be loaded: initials. */
  url: string | null;
  className?: string;
}

/** Hidden from assistive tools: the name is beside it wherever it is used. */
export function Avatar({ name, url, className = '' }: AvatarProps) {
  const [failedUrl, setFailedUrl] = useState<string | null>(null);
  return (
    <span className={`tc-avatar ${className}`} aria-hidden="true">
      {url !== null && url !== failedUrl && isPicture(url) ? (
        <img src={url} alt="" decoding="async" loading="lazy" draggable={false} onError={() => setFailedUrl(url)} />
      ) : (
        initials(name)
      )}
    </span>
  );
}
