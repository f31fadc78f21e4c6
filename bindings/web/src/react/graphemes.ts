// Splits text into what people see as single characters. Firefox has Intl.Segmenter only since 125.

// A flag, or a character with what is drawn onto it or joined to it: accents, skin tones, the tags of Scotland's flag. It
// takes some writing systems' syllables for two.
const approximate = /\p{RI}{2}|.(?:[\p{M}\p{EMod}\u{e0020}-\u{e007f}]|\u200d.)*/gsu;

const segmenter = 'Segmenter' in Intl ? new Intl.Segmenter(undefined, { granularity: 'grapheme' }) : null;

export function graphemes(text: string): string[] {
  return segmenter ? Array.from(segmenter.segment(text), ({ segment }) => segment) : (text.match(approximate) ?? []);
}
