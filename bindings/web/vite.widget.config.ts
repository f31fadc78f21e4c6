// dist/widget.js: one classic script with everything in it. Preact stands in for React, whose 60 KB no page should load
// for a button in its corner.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  define: { 'process.env.NODE_ENV': '"production"' },
  resolve: {
    alias: [
      { find: 'uc.micro', replacement: fileURLToPath(new URL('src/react/unicode_classes.ts', import.meta.url)) },
      { find: /^react\/jsx-(dev-)?runtime$/, replacement: 'preact/jsx-runtime' },
      { find: /^react-dom\/client$/, replacement: 'preact/compat/client' },
      { find: /^react-dom$/, replacement: 'preact/compat' },
      { find: /^react$/, replacement: 'preact/compat' },
    ],
  },
  build: {
    // The main build has put its files there.
    emptyOutDir: false,
    target: 'es2022',
    sourcemap: false,
    lib: {
      entry: 'src/widget/main.tsx',
      formats: ['iife'],
      // Vite asks for it. Nothing is exported, so no such global comes about.
      name: 'travelchatWidgetBuild',
      fileName: () => 'widget.js',
    },
  },
});
