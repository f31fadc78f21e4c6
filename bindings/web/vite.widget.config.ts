// dist/widget.js: one classic script with everything in it. Preact stands in for React, whose 60 KB no page should load
// for a button in its corner.
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
