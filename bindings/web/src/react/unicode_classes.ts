// Takes the place of `uc.micro`, linkify-it's tables of Unicode, in the built files (aliases.ts): the browser has these
// tables itself, and written out they are a third of all that finds links. As there, each class is an expression without
// flags, whose `source` goes into others. Punctuation beyond U+FFFF (Aegean, Kaithi, …) is left out.

function classOf(property: RegExp): RegExp {
  const escape = (unit: number) => `\\u${unit.toString(16).padStart(4, '0')}`;
  let ranges = '';
  let start = -1;
  for (let unit = 0; unit <= 0x1_0000; ++unit) {
    const isIn = unit <= 0xffff && property.test(String.fromCharCode(unit));
    if (isIn && start < 0) start = unit;
    if (isIn || start < 0) continue;
    ranges += `${escape(start)}-${escape(unit - 1)}`;
    start = -1;
  }
  return new RegExp(`[${ranges}]`);
}

/** One character, be it one unit or two. A group, because linkify-it writes a lookahead in front of it. */
export const Any = /(?:[\ud800-\udbff][\udc00-\udfff]|[^])/;
export const Cc = classOf(/\p{Cc}/u);
export const P = classOf(/\p{P}/u);
export const Z = classOf(/\p{Z}/u);
