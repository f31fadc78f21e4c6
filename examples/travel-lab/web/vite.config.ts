import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

// For `npx vite`: pages that reload as one edits them, in front of a server that was started with
// `scripts/serve --allowed-origin http://localhost:5173`.
const server = 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react(), tailwindcss()],
  // travelchat-web is a link to bindings/web, which has a React of its own for its tests.
  resolve: { dedupe: ['react', 'react-dom'] },
  build: {
    target: ['chrome111', 'firefox128', 'safari16.4'],
    // The server's Content-Security-Policy allows no inline script, and every browser above preloads by itself.
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/api': server, '/avatars': server, '/ws': { target: server, ws: true } } },
});
