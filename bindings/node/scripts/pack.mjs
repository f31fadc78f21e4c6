// Makes the two packages that an application installs: travelchat, and the one with the addon of this platform.
//
//   node scripts/pack.mjs --addon FILE --out DIR
//
// DIR gets travelchat-VERSION.tgz and travelchat-PLATFORM-VERSION.tgz. `npm run build` comes before.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { packedReadme } from '../../../scripts/packed_readme.mjs';

const { values } = parseArgs({ options: { addon: { type: 'string' }, out: { type: 'string' } } });
if (values.addon === undefined || values.out === undefined) {
  console.error('usage: node scripts/pack.mjs --addon FILE --out DIR');
  process.exit(2);
}
const here = fileURLToPath(new URL('..', import.meta.url));
const { platformName } = createRequire(import.meta.url)(join(here, 'dist/addon.js'));
const { devDependencies, scripts, ...main } = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8'));
const platform = `travelchat-${platformName()}`;
// Whose static libraries are in the addon.
const inside = ['libboost-json1.81-dev', 'libsqlite3-dev', 'libssl-dev', 'libstdc++-12-dev', 'libutf8proc-dev'];

/** The schema of examples/express, as a file that stands beside the application's own. */
function drizzleSchema() {
  const text = readFileSync(join(here, '../../examples/express/after/schema.ts'), 'utf8');
  const heading = [
    "// The chat's tables for Drizzle, as travelchat keeps them in PostgreSQL: copy them into the application's schema, in place of",
    "// `conversations` and `messages`. `clients` and `organizations` are the application's. docs/node.md says why.",
    '',
  ];
  return heading.join('\n') + text.slice(text.indexOf('import ')).replace("'../shared/schema.ts'", "'./schema'");
}

const folder = mkdtempSync(join(tmpdir(), 'travelchat-pack-'));
try {
  const stage = (name, manifest) => {
    const at = join(folder, name);
    mkdirSync(at);
    writeFileSync(join(at, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    copyFileSync(join(here, '../../LICENSE'), join(at, 'LICENSE'));
    return at;
  };

  // Not in the package.json of the repository: there npm would ask a registry for it.
  const common = stage('travelchat', { ...main, optionalDependencies: { [platform]: main.version } });
  cpSync(join(here, 'dist'), join(common, 'dist'), { recursive: true });
  mkdirSync(join(common, 'drizzle'));
  writeFileSync(join(common, 'drizzle/schema.ts'), drizzleSchema());
  const readme = readFileSync(join(here, 'README.md'), 'utf8');
  writeFileSync(join(common, 'README.md'), packedReadme(readme, 'bindings/node', (path) => existsSync(join(common, path))));

  const { libc = [] } = process.platform === 'linux' ? { libc: [platform.endsWith('musl') ? 'musl' : 'glibc'] } : {};
  const native = stage(platform, {
    name: platform,
    version: main.version,
    description: `The addon of travelchat for ${platformName()}`,
    license: main.license,
    main: 'travelchat.node',
    files: ['travelchat.node', 'licenses'],
    os: [process.platform],
    cpu: [process.arch],
    ...(libc.length > 0 ? { libc } : {}),
    engines: main.engines,
  });
  copyFileSync(resolve(values.addon), join(native, 'travelchat.node'));
  execFileSync('strip', ['--strip-unneeded', join(native, 'travelchat.node')]);
  chmodSync(join(native, 'travelchat.node'), 0o644);
  mkdirSync(join(native, 'licenses'));
  for (const name of inside) {
    const text = `/usr/share/doc/${name}/copyright`;
    if (existsSync(text)) copyFileSync(text, join(native, 'licenses', `${name}.txt`));
  }

  mkdirSync(values.out, { recursive: true });
  for (const at of [common, native]) {
    execFileSync('npm', ['pack', '--silent', '--pack-destination', resolve(values.out)], { cwd: at, stdio: ['ignore', 'inherit', 'inherit'] });
  }
} finally {
  rmSync(folder, { recursive: true });
}
