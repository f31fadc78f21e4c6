// What takes the place of modules, in the builds and in the tests.
import { fileURLToPath } from 'node:url';

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));

export const unicodeAlias = { find: 'uc.micro', replacement: path('src/react/unicode_classes.ts') };

/** Preact for React. */
export const preactAliases = [
  { find: /^react\/jsx-(dev-)?runtime$/, replacement: 'preact/jsx-runtime' },
  { find: /^react(-dom(\/client)?)?$/, replacement: path('src/widget/react.ts') },
];
