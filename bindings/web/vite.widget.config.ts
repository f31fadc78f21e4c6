// dist/widget.js: one classic script with everything in it. Preact takes the place of React, whose 60 KB would be too much
// for a button in the corner of a page.
import { defineConfig } from 'vite';
import { widgetAliases, unicodeAlias } from './aliases.ts';
import { buildTarget } from './build_target.ts';

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  define: { 'process.env.NODE_ENV': '"production"' },
  resolve: { alias: [unicodeAlias, ...widgetAliases] },
  build: {
    // The main build has put its files there.
    emptyOutDir: false,
    ...buildTarget,
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
