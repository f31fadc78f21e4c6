// Language tags as they come: from a page's `lang`, a browser on a system without a locale, an application's settings.

/** `text` as far as it is a tag that Intl takes: "en-US" of "en-US@posix", "de-AT" of "de_AT.UTF-8", "en-GB" of
 * "en-GB-UK". Undefined where nothing of it names a language. */
export function languageTag(text: string | undefined): string | undefined {
  const [start] = /^[a-z\d]+(?:[-_][a-z\d]+)*/i.exec(text?.trim() ?? '') ?? [''];
  for (const subtags = start.split(/[-_]/); subtags.length > 0; subtags.pop()) {
    const tag = subtags.join('-');
    if (/^und\b/i.test(tag)) return undefined;
    try {
      Intl.getCanonicalLocales(tag);
      return tag;
    } catch {
      // The next round tries it without its last subtag.
    }
  }
  return undefined;
}
