// dist/index.js (the core), dist/react.js (hooks and components on it) and dist/styles.css. React is the application's;
// dist/links.js, which finds links in texts, is loaded when the first text may have one.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { unicodeAlias } from './aliases.ts';
import { buildTarget } from './build_target.ts';

export default defineConfig({
  plugins: [react()],
  resolve: { alias: [unicodeAlias] },
  build: {
    ...buildTarget,
    sourcemap: true,
    lib: {
      entry: { index: 'src/core/index.ts', react: 'src/react/index.ts' },
      formats: ['es'],
      cssFileName: 'styles',
    },
    rolldownOptions: {
      external: [/^react(\/|$)/, /^react-dom(\/|$)/],
      output: {
        chunkFileNames: '[name].js',
        codeSplitting: {
          groups: [
            { name: 'links', test: /node_modules|unicode_classes/ },
          ],
        },
      },
    },
  },
});
