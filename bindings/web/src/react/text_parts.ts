// A message's text as people wrote it: which of it is a link, and whether it is nothing but emoji.
import type { LinkifyIt } from 'linkify-it';

export interface TextPart {
  readonly text: string;
  /** Only http, https and mailto. */
  readonly href: string | null;
}

const LINK_SCHEMES = new Set(['http:', 'https:', 'mailto:']);

/** Whether it is worth to look closer: every link has one of these inside. */
export function mayHaveLink(content: string): boolean {
  return /[^\s.][.@:][^\s.]/u.test(content);
}

/** The finder of links. A part of its own, a fifth of everything here: loaded with the first text that may have a link. */
export async function loadLinkFinder(): Promise<LinkifyIt> {
  const { LinkifyIt } = await import('linkify-it');
  return new LinkifyIt({ fuzzyLink: true, fuzzyEmail: true }).add('ftp:', null).add('//', null);
}

/** Without a finder nothing is a link. */
export function textParts(content: string, finder: LinkifyIt | null): TextPart[] {
  const parts: TextPart[] = [];
  let end = 0;
  for (const match of finder?.match(content) ?? []) {
    // "example.com" without a scheme: nobody means unencrypted by it.
    const href = safeHref(match.schema === '' ? match.url.replace(/^http:/, 'https:') : match.url);
    if (href === null) continue;
    if (match.index > end) parts.push({ text: content.slice(end, match.index), href: null });
    parts.push({ text: content.slice(match.index, match.lastIndex), href });
    end = match.lastIndex;
  }
  if (end < content.length) parts.push({ text: content.slice(end), href: null });
  return parts;
}

function safeHref(url: string): string | null {
  try {
    return LINK_SCHEMES.has(new URL(url).protocol) ? url : null;
  } catch {
    return null;
  }
}

/** An attachment's address: http(s), or a path of the server itself; null for anything else. */
export function attachmentHref(url: string | null, baseUrl = ''): string | null {
  // Browsers drop control characters and read a backslash as a slash, so what looks like a path may be another origin.
  if (!url || /[\u0000-\u0020\u007f-\u009f\\]/.test(url)) return null;
  if (url.startsWith('/')) return url.startsWith('//') ? null : baseUrl + url;
  try {
    const { protocol, username, password } = new URL(url);
    return (protocol === 'https:' || protocol === 'http:') && !username && !password ? url : null;
  } catch {
    return null;
  }
}

// `v` is younger than some phones in use; as a literal it would be a syntax error there.
const onlyEmoji = (() => {
  try {
    return new RegExp('^\\p{RGI_Emoji}+$', 'v');
  } catch {
    return /^(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\ufe0f|[\u200d\ufe0f\u{1f3fb}-\u{1f3ff}])+$/u;
  }
})();
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** One to three emoji and nothing else but space around them. */
export function isJumbo(content: string): boolean {
  // Three of the longest (a family with skin tones) stay under this; nobody segments a novel.
  if (content.length > 120) return false;
  const text = content.replace(/\s+/gu, '');
  return onlyEmoji.test(text) && [...graphemes.segment(text)].length <= 3;
}

/** What the wire counts: code points. */
export function codePoints(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; ++i) {
    const pair = text.charCodeAt(i) >>> 10 === 0x36 && text.charCodeAt(i + 1) >>> 10 === 0x37;
    if (pair) ++i;
    ++count;
  }
  return count;
}
