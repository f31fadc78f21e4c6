import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';

import './support/package.mjs';

test("the README's first example prints the message", async (context) => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const [, snippet] = /```ts\n([^]*?)```/.exec(readFileSync(join(root, 'README.md'), 'utf8'));
  const folder = mkdtempSync(join(tmpdir(), 'travelchat-'));
  context.after(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(root, join(folder, 'node_modules', 'travelchat'));
  const options = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 };
  writeFileSync(join(folder, 'example.mjs'), ts.transpile(snippet, options));
  const child = spawn(process.execPath, ['example.mjs'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'], timeout: 60_000 });
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  const [code] = await once(child, 'close');
  assert.deepEqual([code, output], [0, 'Welcome!\n']);
});
