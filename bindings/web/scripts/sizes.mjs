// What the built files weigh: `node scripts/sizes.mjs [--markdown]`, after `npm run build`.
//
// The module entries are bundled and minified first, with everything that they import but React itself. The first
// figure is what a page loads before it can use them, and what the limits are about. The second is what the entry asks
// for later, and only where it is needed: the finder of links, and the client behind `ClientChatWidget`, which comes
// after its grant and which an application that imports `travelchat-web` has already. gzip, level 9, in KB of 1,024
// bytes. Ends with 1 when a limit is exceeded.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'vite';

const KB = 1024;
const dist = fileURLToPath(new URL('../dist/', import.meta.url));

const files = [
  { name: 'travelchat-web', file: 'index.js', isModule: true },
  { name: 'travelchat-web/react', file: 'react.js', isModule: true, limit: 30 * KB },
  { name: 'travelchat-web/styles.css', file: 'styles.css' },
  { name: 'travelchat-web/widget.js', file: 'widget.js', limit: 50 * KB },
];

async function bundled(path) {
  const { output } = await build({
    configFile: false,
    logLevel: 'error',
    build: {
      write: false,
      minify: true,
      target: 'esnext',
      modulePreload: false,
      rollupOptions: {
        input: path,
        external: /^react(-dom)?($|\/)/,
        preserveEntrySignatures: 'strict',
      },
    },
  });
  const chunks = new Map(output.filter(({ type }) => type === 'chunk').map((chunk) => [chunk.fileName, chunk]));
  const atOnce = new Set(output.filter(({ isEntry }) => isEntry));
  // A set goes on to what is added to it meanwhile.
  for (const { imports } of atOnce) for (const name of imports) if (chunks.has(name)) atOnce.add(chunks.get(name));
  const later = [...chunks.values()].filter((chunk) => !atOnce.has(chunk));
  return [atOnce, later].map((parts) => [...parts].map(({ code }) => code).join(''));
}

const gzipped = (text) => (text === '' ? 0 : gzipSync(text, { level: 9 }).length);
const kilobytes = (bytes) => (bytes / KB).toFixed(1);

const rows = [];
for (const { name, file, isModule, limit } of files) {
  const path = dist + file;
  if (!existsSync(path)) {
    console.error(`${path} does not exist: run "npm run build" first.`);
    process.exit(1);
  }
  const [atOnce, later] = isModule ? await bundled(path) : [readFileSync(path, 'utf8'), ''];
  rows.push({ name, bytes: gzipped(atOnce), later: gzipped(later), limit });
}

if (process.argv.includes('--markdown')) {
  console.log('| KB gzipped | at once | limit | later |\n|---|---:|---:|---:|');
  for (const { name, bytes, later, limit } of rows) {
    const cells = [`\`${name}\``, kilobytes(bytes), limit ? limit / KB : '', later ? kilobytes(later) : ''];
    console.log(`| ${cells.join(' | ')} |`);
  }
} else {
  for (const { name, bytes, later, limit } of rows) {
    const bound = limit ? ` of ${limit / KB}` : '';
    const rest = later ? `, later ${kilobytes(later)}` : '';
    console.log(`${name.padEnd(28)}${kilobytes(bytes).padStart(6)} KB${bound}${rest}`);
  }
}

for (const { name, bytes, limit } of rows) {
  if (limit && bytes > limit) {
    console.error(`${name} is ${bytes - limit} bytes over its ${limit / KB} KB.`);
    process.exitCode = 1;
  }
}
