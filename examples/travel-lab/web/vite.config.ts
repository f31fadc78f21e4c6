import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { buildTarget } from '../../../bindings/web/build_target.ts';

// For `npx vite`: pages that reload as one edits them, in front of a server that was started with
// `scripts/serve --allowed-origin http://localhost:5173`.
const server = 'http://127.0.0.1:8080';

export default defineConfig({
  // Tailwind's own pass would write for newer browsers than those of the target.
  plugins: [react(), tailwindcss({ optimize: false })],
  // travelchat-web is a link to bindings/web, which has a React of its own for its tests.
  resolve: { dedupe: ['react', 'react-dom'] },
  build: {
    ...buildTarget,
    // The server's Content-Security-Policy allows no inline script. What does not preload by itself loads a little later.
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/api': server, '/avatars': server, '/ws': { target: server, ws: true } } },
});
