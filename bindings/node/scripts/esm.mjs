// Writes the ESM door of the package: it names what the CommonJS build exports, so that both kinds of importers get the
// same classes (an error of one is an error of the other).
import { createRequire } from 'node:module';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const dist = new URL('../dist/', import.meta.url);
// The addon is loaded at the first use, so this works before one is built.
const names = Object.keys(createRequire(import.meta.url)(fileURLToPath(new URL('index.js', dist))));
writeFileSync(
  new URL('index.mjs', dist),
  `import travelchat from './index.js';\n${names.map((name) => `export const ${name} = travelchat.${name};\n`).join('')}`,
);
writeFileSync(new URL('index.d.mts', dist), `export * from './index.js';\n`);
