// Makes the archive that an application installs, DIR/travelchat-web-VERSION.tgz, of what `npm run build` has made.
//
//   node scripts/pack.mjs --out DIR
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { packedReadme } from '../../../scripts/packed_readme.mjs';

const { values } = parseArgs({ options: { out: { type: 'string' } } });
if (values.out === undefined) {
  console.error('usage: node scripts/pack.mjs --out DIR');
  process.exit(2);
}
const here = fileURLToPath(new URL('..', import.meta.url));
if (!existsSync(join(here, 'dist/widget.js'))) {
  console.error('There is no dist: run "npm run build" first.');
  process.exit(1);
}
const { devDependencies, scripts, ...manifest } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));

const at = mkdtempSync(join(tmpdir(), 'travelchat-web-pack-'));
try {
  cpSync(join(here, 'dist'), join(at, 'dist'), { recursive: true });
  copyFileSync(join(here, '../../LICENSE'), join(at, 'LICENSE'));
  writeFileSync(join(at, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  const readme = readFileSync(join(here, 'README.md'), 'utf8');
  writeFileSync(join(at, 'README.md'), packedReadme(readme, 'bindings/web', (path) => existsSync(join(at, path))));
  mkdirSync(values.out, { recursive: true });
  const options = { cwd: at, stdio: ['ignore', 'inherit', 'inherit'] };
  execFileSync('npm', ['pack', '--silent', '--pack-destination', resolve(values.out)], options);
} finally {
  rmSync(at, { recursive: true });
}
