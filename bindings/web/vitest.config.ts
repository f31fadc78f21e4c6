import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// The core runs without a document; what is drawn gets jsdom's. The time-out is for machines that do much else.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'core', include: ['tests/core/**/*.test.ts'], environment: 'node', testTimeout: 60_000 } },
      {
        // As in the built files (vite.config.ts).
        resolve: { alias: { 'uc.micro': fileURLToPath(new URL('src/react/unicode_classes.ts', import.meta.url)) } },
        test: {
          name: 'pages',
          include: ['tests/{react,widget}/**/*.test.{ts,tsx}'],
          environment: 'jsdom',
          testTimeout: 30_000,
          server: { deps: { inline: ['linkify-it'] } },
        },
      },
    ],
  },
});
