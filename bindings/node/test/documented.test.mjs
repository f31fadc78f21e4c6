// Every name that the package exports, and every method of its classes, says what it is.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import ts from 'typescript';

test('every public name is documented', () => {
  const entry = fileURLToPath(new URL('../src/index.ts', import.meta.url));
  const program = ts.createProgram([entry], { module: ts.ModuleKind.Node16, noLib: true, types: [] });
  const checker = program.getTypeChecker();
  const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(entry)));
  assert.ok(exported.length > 40);

  const undocumented = [];
  const check = (symbol, name) => {
    if (symbol.getJsDocTags().some((tag) => tag.name === 'internal')) return;
    if (symbol.getDocumentationComment(checker).length === 0) undocumented.push(name);
  };
  for (const alias of exported) {
    const symbol = alias.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(alias) : alias;
    check(symbol, symbol.name);
    if (!(symbol.flags & ts.SymbolFlags.Class)) continue;
    for (const member of symbol.members.values()) {
      const [declaration] = member.declarations ?? [];
      const isPublic = ts.isMethodDeclaration(declaration) && !ts.isPrivateIdentifier(declaration.name) &&
        !ts.isComputedPropertyName(declaration.name);
      if (isPublic) check(member, `${symbol.name}.${member.name}`);
    }
  }
  assert.deepEqual(undocumented, []);
});
