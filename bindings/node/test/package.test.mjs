// The package as others get it: installed from its two archives, offline, where there is no compiler.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import ts from 'typescript';

import './support/package.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const addon = process.env.TRAVELCHAT_ADDON;

describe('the package', () => {
  let folder;
  let archives;
  let environment;

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'travelchat-'));
    execFileSync(process.execPath, ['scripts/pack.mjs', '--addon', addon, '--out', join(folder, 'archives')], {
      cwd: root, stdio: ['ignore', 'ignore', 'inherit'],
    });
    archives = readdirSync(join(folder, 'archives')).map((name) => join(folder, 'archives', name));
    // Node, npm, and nothing else; a registry that is not there, and nothing in the cache.
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    symlinkSync(process.execPath, join(bin, 'node'));
    const npm = process.env.PATH.split(delimiter).map((at) => join(at, 'npm')).find((path) => {
      try {
        return realpathSync(path);
      } catch {
        return false;
      }
    });
    symlinkSync(realpathSync(npm), join(bin, 'npm'));
    environment = {
      PATH: bin, HOME: folder, npm_config_cache: join(folder, 'cache'), npm_config_registry: 'http://127.0.0.1:9/',
      npm_config_fetch_retries: '0', npm_config_update_notifier: 'false',
    };
  });
  after(() => rmSync(folder, { recursive: true }));

  /** An empty folder with these archives installed in it. */
  async function install(name, ...which) {
    const at = join(folder, name);
    mkdirSync(at);
    await promisify(execFile)('npm', ['install', '--offline', '--no-audit', '--no-fund', ...which], { cwd: at, env: environment });
    return at;
  }
  async function run(at, file, source) {
    writeFileSync(join(at, file), source);
    const { stdout } = await promisify(execFile)('node', [file], { cwd: at, env: environment });
    return stdout;
  }
  const main = () => archives.filter((path) => /^travelchat-\d/.test(basename(path)));

  test('installs from its archives and works, by import and by require', async () => {
    assert.equal(archives.length, 2);
    const at = await install('both', ...archives);
    assert.deepEqual(readdirSync(join(at, 'node_modules')).filter((name) => !name.startsWith('.')).length, 2);
    const [, snippet] = /```ts\n([^]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'));
    const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
    assert.equal(await run(at, 'example.mjs', ts.transpile(snippet, options)), 'Welcome!\n');
    assert.equal(await run(at, 'example.cjs', `
      const { ChatEngine, memory } = require('travelchat');
      const engine = new ChatEngine(memory());
      engine.openConversation('org-1', 'carl')
        .then(({ rev }) => console.log(rev))
        .then(() => import('travelchat'))
        .then((imported) => console.log(imported.ChatEngine === ChatEngine))
        .then(() => engine.close());`), '0\ntrue\n');
  });

  for (const mode of ['Node16', 'NodeNext', 'Bundler']) test(`has types for both kinds of importers by the resolution ${mode}`, async () => {
    const at = await install(`types-${mode}`, ...archives);
    const source = `
      import { ChatEngine, memory, type Message } from 'travelchat';
      export const send = async (): Promise<Message> => {
        const engine = new ChatEngine(memory());
        const { id } = await engine.openConversation('org-1', 'carl');
        return (await engine.send({ orgId: 'org-1', role: 'client', id: 'carl' }, { conversationId: id, content: '' })).message;
      };`;
    for (const file of ['consumer.mts', 'consumer.cts']) writeFileSync(join(at, file), source);
    const program = ts.createProgram(['consumer.mts', 'consumer.cts'].map((file) => join(at, file)), {
      module: ts.ModuleKind[mode === 'Bundler' ? 'Preserve' : mode], moduleResolution: ts.ModuleResolutionKind[mode],
      target: ts.ScriptTarget.ES2022, lib: ['lib.es2022.d.ts'], strict: true, noEmit: true,
      skipLibCheck: false, typeRoots: [join(root, 'node_modules/@types')], types: ['node'],
    });
    const problems = ts.getPreEmitDiagnostics(program)
      .map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
    assert.deepEqual(problems, []);
  });

  test('has the licence, and every file that its README links to', async () => {
    const at = await install('files', ...archives);
    for (const name of readdirSync(join(at, 'node_modules')).filter((name) => name.startsWith('travelchat'))) {
      const licence = readFileSync(join(at, 'node_modules', name, 'LICENSE'), 'utf8');
      assert.equal(licence, readFileSync(join(root, '../../LICENSE'), 'utf8'));
    }
    const installed = join(at, 'node_modules/travelchat');
    const readme = readFileSync(join(installed, 'README.md'), 'utf8');
    const links = [...readme.matchAll(/\]\((?!#|[a-z]+:)([^)#\s]+)/g)].map(([, path]) => path);
    assert.deepEqual(links.filter((path) => !existsSync(join(installed, path))), []);
    assert.match(readme, /`docs\/protocol\.md` of the repository/);
  });

  test('brings the Drizzle schema of the example', async () => {
    const at = await install('drizzle', ...main());
    const shipped = readFileSync(join(at, 'node_modules/travelchat/drizzle/schema.ts'), 'utf8');
    const own = readFileSync(join(root, '../../examples/express/after/schema.ts'), 'utf8');
    const fromImports = (text) => text.slice(text.indexOf('import '));
    assert.match(shipped, /^\/\/ .*copy them into the application's schema/);
    assert.equal(fromImports(shipped), fromImports(own).replace("'../shared/schema.ts'", "'./schema'"));
  });

  test('says what is missing where there is no addon', async () => {
    const at = await install('alone', ...main());
    const output = await run(at, 'example.cjs', `
      const { ChatEngine, memory } = require('travelchat');
      try {
        new ChatEngine(memory());
      } catch (error) {
        console.log(error.code + ': ' + error.message);
      }`);
    assert.match(output, /^ERR_TRAVELCHAT_NO_ADDON: travelchat has no prebuilt addon here: .*travelchat-\w+-\w+.* CMake/);
  });

  test('finds its addon without asking the network', async () => {
    const at = await install('offline', ...archives);
    assert.equal(await run(at, 'example.cjs', `
      const ask = process.report.getReport;
      process.report.getReport = (...error) => {
        if (!process.report.excludeNetwork) throw new Error('every peer of an open connection is looked up');
        return ask.apply(process.report, error);
      };
      const { ChatEngine, memory } = require('travelchat');
      new ChatEngine(memory()).close().then(() => console.log(process.report.excludeNetwork));`), 'false\n');
  });

  test('says what is wrong with an addon that cannot be loaded', async () => {
    const at = await install('broken', ...archives);
    const [platform] = readdirSync(join(at, 'node_modules')).filter((name) => name.startsWith('travelchat-'));
    writeFileSync(join(at, 'node_modules', platform, 'travelchat.node'), 'not a module');
    const output = await run(at, 'example.cjs', `
      const { ChatEngine, memory } = require('travelchat');
      try { new ChatEngine(memory()); } catch (error) { console.log(error.code + ': ' + error.message); }`);
    assert.match(output, /^ERR_TRAVELCHAT_NO_ADDON: travelchat cannot load its addon of travelchat-/);
  });

  test('has an addon that needs the C library alone, and shows nothing but its entry', () => {
    const needed = execFileSync('readelf', ['--dynamic', addon], { encoding: 'utf8' });
    const libraries = [...needed.matchAll(/\(NEEDED\).*\[(.*)\]/g)].map(([, name]) => name.replace(/\.so.*/, ''));
    assert.deepEqual(libraries.filter((name) => !['libc', 'libm', 'ld-linux-x86-64', 'ld-linux-aarch64'].includes(name)), []);
    const visible = execFileSync('nm', ['--dynamic', '--defined-only', '--just-symbols', addon], { encoding: 'utf8' });
    assert.deepEqual(visible.trim().split('\n').sort(), ['napi_register_module_v1', 'node_api_module_get_api_version_v1']);
    // What the storage calls of libpq is all passed on (native/libpq.cpp).
    const missing = execFileSync('nm', ['--dynamic', '--undefined-only', '--just-symbols', addon], { encoding: 'utf8' });
    assert.doesNotMatch(missing, /^PQ/m);
  });
});
