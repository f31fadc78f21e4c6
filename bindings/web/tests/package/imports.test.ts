// Who imports whom: no file of the TypeScript sources imports itself through others, types and dynamic imports included.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

/** Of each file below this folder of the repository: the files there that it imports. */
function importsIn(folder: string): ReadonlyMap<string, readonly string[]> {
  const root = fileURLToPath(new URL(`../../../../${folder}`, import.meta.url));
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (path) => /\.tsx?$/.test(path) && !path.startsWith('node_modules'),
  );
  const withoutEnding = (path: string): string => path.replace(/\.tsx?$/, '');
  const importsOf = (path: string): string[] => {
    const { importedFiles } = ts.preProcessFile(readFileSync(join(root, path), 'utf8'));
    const named = importedFiles.map(({ fileName }) => relative(root, join(root, dirname(path), fileName)));
    return named.flatMap((name) => files.filter((file) => withoutEnding(file) === withoutEnding(name)));
  };
  return new Map(files.map((path) => [path, importsOf(path)]));
}

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

// Of each folder also an import that is there: a reader of imports that finds nothing would find no circle.
test.each([
  ['bindings/web/src', 'core/thread.ts', 'core/outbox.ts'],
  ['bindings/node/src', 'engine.ts', 'addon.ts'],
  ['examples/travel-lab/web/src', 'dashboard_pages.ts', 'pages/messages.tsx'],
  ['examples/express', 'after/index.ts', 'server/auth.ts'],
])('no file of %s imports itself through others', (folder, importer, imported) => {
  const imports = importsIn(folder);
  expect(imports.get(importer)).toContain(imported);
  expect(circle(imports)).toEqual([]);
});

test('a circle would be found', () => {
  expect(circle(new Map([['a', ['b']], ['b', ['c', 'd']], ['c', []], ['d', ['b']]]))).toEqual(['b', 'd', 'b']);
});
