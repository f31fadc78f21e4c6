// What browsers of package.json's "browserslist" lack, taken away: Intl.Segmenter (Firefox before 125), expressions with the
// flag `v` (Safari before 17, Firefox before 116).
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

beforeEach(() => {
  vi.resetModules();
  const { Segmenter: _, ...older } = Object.getOwnPropertyDescriptors(Intl);
  vi.stubGlobal('Intl', Object.defineProperties({}, older));
  vi.stubGlobal(
    'RegExp',
    new Proxy(RegExp, {
      construct(target, [source, flags]: [string, string?]) {
        if (flags?.includes('v')) throw new SyntaxError('Invalid flags');
        return new target(source, flags);
      },
    }),
  );
});

afterEach(() => vi.unstubAllGlobals());

describe('without Intl.Segmenter and the flag v', () => {
  test('they are missing', () => {
    expect('Segmenter' in Intl).toBe(false);
    expect(() => new RegExp('a', 'v')).toThrow(SyntaxError);
  });

  test('a person has initials', async () => {
    const { initials } = await import('../../src/react/avatar');
    expect(initials('María José Ortiz')).toBe('MO');
    expect(initials('E\u0301lodie a\u0308')).toBe('E\u0301A\u0308');
    expect(initials('𝒜da')).toBe('𝒜');
    expect(initials('')).toBe('');
  });

  test.each(['❤️', '👍🏽', '😂😮😢', '👩‍👩‍👧‍👦', '🇵🇹', '🏴󠁧󠁢󠁳󠁣󠁴󠁿', ' 🎉 🎉 ', '1️⃣', '👨🏿‍🚀👨🏿‍🚀👨🏿‍🚀'])('%s is large', async (content) => {
    const { isJumbo } = await import('../../src/react/text_parts');
    expect(isJumbo(content)).toBe(true);
  });

  test.each(['', '   ', '😂😂😂😂', 'ok 👍', '1', '123', '#', '©', 'a', '❤️!', '🇵', '\u200d', '\ufe0f'])(
    '%j is not',
    async (content) => {
      const { isJumbo } = await import('../../src/react/text_parts');
      expect(isJumbo(content)).toBe(false);
    },
  );
});
