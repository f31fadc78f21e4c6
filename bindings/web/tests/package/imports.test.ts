// Who imports whom: no file of the sources imports itself through others, types included.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../src', import.meta.url));
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) => /\.tsx?$/.test(path));

const importsOf = (path: string): string[] => {
  const { importedFiles } = ts.preProcessFile(readFileSync(join(root, path), 'utf8'));
  const named = importedFiles.map(({ fileName }) => relative(root, join(root, dirname(path), fileName)));
  return named.flatMap((name) => files.filter((file) => file.replace(/\.tsx?$/, '') === name));
};

/** The first that is found, as the files in it; empty when there is none. */
function circle(imports: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const done = new Set<string>();
  const follow = (path: string, way: readonly string[]): readonly string[] => {
    const before = way.indexOf(path);
    if (before >= 0) return [...way.slice(before), path];
    if (done.has(path)) return [];
    for (const next of imports.get(path) ?? []) {
      const found = follow(next, [...way, path]);
      if (found.length > 0) return found;
    }
    done.add(path);
    return [];
  };
  for (const path of imports.keys()) {
    const found = follow(path, []);
    if (found.length > 0) return found;
  }
  return [];
}

test('no file imports itself through others', () => {
  const imports = new Map(files.map((path) => [path, importsOf(path)]));
  expect(imports.get('core/thread.ts')).toContain('core/outbox.ts');
  expect(circle(imports)).toEqual([]);
  expect(circle(new Map([['a', ['b']], ['b', ['c', 'd']], ['c', []], ['d', ['b']]]))).toEqual(['b', 'd', 'b']);
});
