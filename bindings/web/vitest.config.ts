import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { widgetAliases, unicodeAlias } from './aliases.ts';

// In the document of jsdom.
const inDocument = {
  environment: 'jsdom',
  testTimeout: 30_000,
  // Rows say at what time; some zones have minutes of their own.
  env: { TZ: 'UTC' },
  server: { deps: { inline: ['linkify-it'] } },
};

// The core runs without a document; what is drawn gets jsdom's. The time-out is for machines that do much else.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'package', include: ['tests/package/**/*.test.ts'], environment: 'node', testTimeout: 60_000, hookTimeout: 60_000 } },
      { test: { name: 'core', include: ['tests/core/**/*.test.ts'], environment: 'node', testTimeout: 60_000 } },
      {
        resolve: { alias: [unicodeAlias] },
        test: { ...inDocument, name: 'pages', include: ['tests/{react,widget}/**/*.test.{ts,tsx}'] },
      },
      {
        // What of it is in widget.js, as it is there.
        resolve: {
          alias: [
            { find: /^react$/, replacement: fileURLToPath(new URL('tests/react_on_preact.ts', import.meta.url)) },
            ...widgetAliases,
            unicodeAlias,
          ],
        },
        test: {
          ...inDocument,
          name: 'preact',
          include: ['tests/react/*.test.tsx', 'tests/widget/client_chat_widget.test.tsx', 'tests/widget/react.test.tsx'],
        },
      },
    ],
  },
});
