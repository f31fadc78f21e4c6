// Where to go after signing in. It comes from the address bar, so it may be anything.

export const home = '/dashboard/messages';

/** `next` if it is a page of this app, else the start page. */
export function returnPath(next: string | null): string {
  if (next === null || !next.startsWith('/')) return home;
  // Browsers read "//host", "/\host" and "/<tab>/host" as other sites.
  const base = 'https://this.invalid';
  const url = urlOf(next, base);
  if (url?.origin !== base) return home;
  const path = url.pathname + url.search + url.hash;
  return path.startsWith('//') || url.pathname === '/' || url.pathname.startsWith('/login') ? home : path;
}

// URL.canParse is younger than some phones in use.
function urlOf(text: string, base: string): URL | null {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
}

export function loginPath(from: { pathname: string; search: string }): string {
  const here = from.pathname + from.search;
  return here === '/' || here === home ? '/login' : `/login?next=${encodeURIComponent(here)}`;
}
