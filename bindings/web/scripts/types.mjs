// Writes dist/types: what `tsc -p tsconfig.build.json` would, but with the endings that Node's resolution wants in
// `from './thread.js'`, which the sources leave out.
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const host = {
  ...ts.sys,
  getCanonicalFileName: (name) => name,
  getNewLine: () => ts.sys.newLine,
  onUnRecoverableConfigFileDiagnostic: (problem) => end([problem]),
};

function end(problems) {
  if (problems.length === 0) return;
  console.error(ts.formatDiagnostics(problems, host));
  process.exit(1);
}

/** @type {ts.TransformerFactory<ts.SourceFile>} */
const withEndings = (context) => (file) => {
  const { factory } = context;
  const named = (literal) => (/^\.\.?\//.test(literal.text) ? factory.createStringLiteral(`${literal.text}.js`, true) : literal);
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) {
      // Without a clause it loads a style sheet, which is no business of types.
      if (!node.importClause) return undefined;
      return factory.updateImportDeclaration(node, node.modifiers, node.importClause, named(node.moduleSpecifier), node.attributes);
    }
    if (ts.isExportDeclaration(node) && node.moduleSpecifier) {
      const { modifiers, isTypeOnly, exportClause, moduleSpecifier, attributes } = node;
      return factory.updateExportDeclaration(node, modifiers, isTypeOnly, exportClause, named(moduleSpecifier), attributes);
    }
    if (ts.isImportTypeNode(node)) {
      const argument = factory.createLiteralTypeNode(named(node.argument.literal));
      const typeArguments = node.typeArguments && ts.visitNodes(node.typeArguments, visit);
      return factory.updateImportTypeNode(node, argument, node.attributes, node.qualifier, typeArguments, node.isTypeOf);
    }
    return ts.visitEachChild(node, visit, context);
  };
  return ts.visitNode(file, visit);
};

const config = fileURLToPath(new URL('../tsconfig.build.json', import.meta.url));
const { fileNames, options, errors } = ts.getParsedCommandLineOfConfigFile(config, {}, host);
const program = ts.createProgram(fileNames, options);
end([...errors, ...ts.getPreEmitDiagnostics(program)]);
end(program.emit(undefined, undefined, undefined, true, { afterDeclarations: [withEndings] }).diagnostics);
