// Finds the links in a message's text, and whether it is nothing but emoji.
import type { LinkifyIt } from 'linkify-it';
import { graphemes } from './graphemes';

export interface TextPart {
  readonly text: string;
  /** Only http, https and mailto. */
  readonly href: string | null;
}

const LINK_SCHEMES = new Set(['http:', 'https:', 'mailto:']);

/** Whether there may be a link at all: every link has one of these characters inside. */
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
    // "example.com" without a scheme becomes https.
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

/** An attachment's address: http(s), or a path of the server itself, wherever the chat is on it; null for anything else. */
export function attachmentHref(url: string | null, baseUrl = ''): string | null {
  // Browsers drop control characters and read a backslash as a slash, so what looks like a path may be another origin.
  if (!url || /[\u0000-\u0020\u007f-\u009f\\]/.test(url)) return null;
  if (url.startsWith('/')) return url.startsWith('//') ? null : (/^https?:\/\/[^/]+/.exec(baseUrl)?.[0] ?? '') + url;
  try {
    const { protocol, username, password } = new URL(url);
    return (protocol === 'https:' || protocol === 'http:') && !username && !password ? url : null;
  } catch {
    return null;
  }
}

// Some phones in use do not know the flag `v`, and as a literal it would be a syntax error there. For them the fallback
// also accepts sequences that only look like emoji: any two letters of a flag, any joined faces.
const onlyEmoji = (() => {
  try {
    return new RegExp('^\\p{RGI_Emoji}+$', 'v');
  } catch {
    const one = String.raw`(?!\p{RI})(?:\p{EPres}|\p{ExtPict}\ufe0f|\p{EBase}\p{EMod})\p{EMod}?[\u{e0020}-\u{e007f}]*`;
    return new RegExp(String.raw`^(?:\p{RI}{2}|[\d#*]\ufe0f\u20e3|${one}(?:\u200d${one})*)+$`, 'u');
  }
})();

// Some keyboards and chats omit U+FE0F, which marks a character as an emoji. It is assumed for pictures and keycaps;
// not for arrows and marks such as ©, which may be text, nor before U+FE0E, which marks text.
const unmarked = /[\d#*](?=\u20e3)|(?!\p{EPres})(?=\p{Emoji})[\u2600-\u27bf\u{1f000}-\u{1faff}](?![\ufe0e\ufe0f\p{EMod}])/gu;

/** One to three emoji and nothing else but space around them. */
export function isJumbo(content: string): boolean {
  // Three of the longest emoji (families with skin tones) are shorter than this. Segmenting a long text takes long.
  if (content.length > 120) return false;
  const text = content.replace(/\s+/gu, '').replace(unmarked, '$&\ufe0f');
  return onlyEmoji.test(text) && graphemes(text).length <= 3;
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
