import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import * as classes from '../../src/react/unicode_classes';

// Loaded by Node's require: an import would give the replacement (vitest.config.ts).
const tables = createRequire(import.meta.url)('uc.micro') as typeof classes;

const whole = (expression: RegExp) => new RegExp(`^(?:${expression.source})$`);

test.each(['Cc', 'P', 'Z', 'Any'] as const)('%s holds the characters that it does in uc.micro', (name) => {
  const [ours, theirs] = [whole(classes[name]), whole(tables[name])];
  const differing: string[] = [];
  for (let unit = 0; unit <= 0xffff; ++unit) {
    const character = String.fromCharCode(unit);
    if (ours.test(character) !== theirs.test(character)) differing.push(unit.toString(16));
  }
  // The two may know different versions of Unicode.
  expect(differing.length, differing.join()).toBeLessThan(20);
});

test('a character of two units is one', () => {
  expect(whole(classes.Any).test('😀')).toBe(true);
  expect(whole(classes.Any).test('ab')).toBe(false);
});
