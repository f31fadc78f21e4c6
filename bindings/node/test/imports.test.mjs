// Who imports whom: no file of the sources imports itself through others, types included.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

import ts from 'typescript';

const root = new URL('../src/', import.meta.url);

/** The first that is found, as the files in it; empty when there is none. */
function circle(imports) {
  const done = new Set();
  const follow = (name, way) => {
    if (way.includes(name)) return [...way.slice(way.indexOf(name)), name];
    if (done.has(name)) return [];
    for (const next of imports.get(name) ?? []) {
      const found = follow(next, [...way, name]);
      if (found.length > 0) return found;
    }
    done.add(name);
    return [];
  };
  for (const name of imports.keys()) {
    const found = follow(name, []);
    if (found.length > 0) return found;
  }
  return [];
}

test('no file imports itself through others', () => {
  const imports = new Map(readdirSync(root).map((file) => {
    const { importedFiles } = ts.preProcessFile(readFileSync(new URL(file, root), 'utf8'));
    return [`./${file.replace(/\.ts$/, '')}`, importedFiles.map(({ fileName }) => fileName)];
  }));
  assert.ok(imports.get('./engine').includes('./addon'));
  assert.deepEqual(circle(imports), []);
  assert.deepEqual(circle(new Map([['a', ['b']], ['b', ['c', 'd']], ['c', []], ['d', ['b']]])), ['b', 'd', 'b']);
});
