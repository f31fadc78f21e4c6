// What takes the place of modules, in the builds and in the tests.
import { fileURLToPath } from 'node:url';

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));

export const unicodeAlias = { find: 'uc.micro', replacement: path('src/react/unicode_classes.ts') };

/** What is in widget.js: Preact for React, and the client at once. */
export const widgetAliases = [
  { find: './load_thread_client', replacement: path('src/widget/load_thread_client.ts') },
  { find: /^react\/jsx-(dev-)?runtime$/, replacement: 'preact/jsx-runtime' },
  { find: /^react(-dom(\/client)?)?$/, replacement: path('src/widget/react.ts') },
];
