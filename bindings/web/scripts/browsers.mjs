// Searches what was built for what the browsers of package.json's "browserslist" do not have: `npm run browsers`, after the
// builds of this package and of examples/travel-lab/web. What came when is known
//
//   of syntax and ECMAScript's library  to eslint-plugin-es-x
//   of globals and what they have       to eslint-plugin-compat and MDN's data
//   of members and attributes           to MDN's data, by the types of the sources
//   of styles                           to MDN's data
//
// What is found is done without, or stands below with the reason why it may stay. Ends with 1 for anything else, and for a
// reason that nothing needs.
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';
import compat from 'eslint-plugin-compat';
import esx from 'eslint-plugin-es-x';
import postcss from 'postcss';
import ts from 'typescript';

/** A name or a file, and why. */
const mayStay = {
  // It is asked for first.
  'Intl.Segmenter': 'graphemes.ts',
  "RegExp 'v' flag": 'text_parts.ts catches the error',
  replaceSync: 'mount.tsx',
  Notification: 'push.ts',
  'examples/travel-lab/web/src/push.ts': 'nothing of it runs without `isSupported`',
  'navigator.connection': 'React',
  '@property': 'Tailwind sets the values itself where there is none',
  // It concerns browsers that have it.
  touches: 'touch screens',
  'event.touches': 'touch screens',
  autoFocus: 'phones leave the keyboard where it is',
  autoCapitalize: 'keyboards on the screen',
  cursor: 'a mouse',
  resize: 'a mouse',
  '-webkit-tap-highlight-color': 'a finger',
  '-webkit-touch-callout': 'a finger',
  'forced-color-adjust': 'forced colours',
  'scrollbar-width': 'scroll bars that take room',
  'overflow-anchor': 'anchoring by the browser',
  'text-size-adjust': 'Tailwind has it with and without the prefix',
  ':-webkit-search-cancel-button': 'a button of the browser',
  ':-webkit-inner-spin-button': 'a button of the browser',
  // It is no loss where it is missing.
  inert: 'while a window closes; the style sheet keeps the pointer out',
  'overflow: clip': 'beside `@supports not (overflow: clip)`',
  'overscroll-behavior': 'the page scrolls on at the end of a list',
  'text-wrap': 'lines break as ever',
  'content-visibility': 'long lists take longer',
  'contain-intrinsic-size': 'goes with the one before',
  'contain-intrinsic-block-size': 'goes with the one before',
  'text-decoration: dotted': 'Tailwind, for abbreviations',
  'font-family: ui-monospace': 'the next font of the list',
  lh: 'Tailwind, for empty date inputs',
  ':selection': 'the colour of what is selected',
};

const root = fileURLToPath(new URL('../../..', import.meta.url));
const folders = ['bindings/web/dist', 'examples/travel-lab/web/dist'];
const { browserslist } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const mdn = createRequire(import.meta.url)('@mdn/browser-compat-data');

const filesWith = (ending) =>
  folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true })
      .filter((name) => name.endsWith(ending))
      .map((name) => `${folder}/${name}`),
  );

// ---- MDN's data ----

const targets = browserslist.map((browser) => {
  const [name, version] = browser.replace('ios_saf', 'safari_ios').split(' ');
  return { name, version };
});

const numbers = (version) => version.replace('≤', '').split('.').map(Number);
function isUpTo(version, limit) {
  const [[major, minor = 0], [limitMajor, limitMinor = 0]] = [numbers(version), numbers(limit)];
  return major < limitMajor || (major === limitMajor && minor <= limitMinor);
}

/** Whether each browser of the target has it, with or without a prefix. */
function isThere(feature) {
  const { support } = feature.__compat;
  return targets.every(({ name, version }) =>
    [support[name] ?? []]
      .flat()
      .some(
        ({ version_added: added, version_removed: removed, flags, alternative_name: other }) =>
          typeof added === 'string' && added !== 'preview' && isUpTo(added, version) &&
          !(removed && isUpTo(removed, version)) && !flags && !other,
      ),
  );
}

/** For each name, whether anything that has it is there. */
function known(features) {
  const names = new Map();
  for (const [name, feature] of features) {
    if (feature.__compat) names.set(name, (names.get(name) ?? false) || isThere(feature));
  }
  return names;
}

const entries = (group) => Object.entries(group).filter(([name]) => name !== '__compat');

// ---- Scripts ----

// eslint-plugin-compat does not know MDN's name for what a constructor itself has.
const statics = {
  create: (context) => ({
    MemberExpression(node) {
      const { computed, object, property } = node;
      const feature = computed ? undefined : mdn.api[object.name]?.[`${property.name}_static`];
      if (feature && !isThere(feature) && object.type === 'Identifier') context.report({ node, message: `${object.name}.${property.name}` });
    },
  }),
};

// To the rules for prototypes each `map` might be an iterator's.
const sameAsOfArrays = Object.fromEntries(
  ['every', 'filter', 'find', 'flatmap', 'foreach', 'map', 'reduce', 'some'].map((name) => [`es-x/no-iterator-prototype-${name}`, 'off']),
);

async function inScripts(report) {
  const eslint = new ESLint({
    cwd: root,
    ignore: false,
    overrideConfigFile: true,
    overrideConfig: [
      esx.configs['flat/restrict-to-es2022'],
      esx.configs['flat/restrict-to-es2022-intl-api'],
      {
        files: ['**/*.js'],
        languageOptions: { ecmaVersion: 'latest' },
        plugins: { compat, mdn: { rules: { statics } } },
        settings: { 'es-x': { aggressive: true }, browsers: browserslist, lintAllEsApis: true },
        rules: {
          'compat/compat': 'error',
          'mdn/statics': 'error',
          // Of ES2022 and before, and yet not everywhere.
          'es-x/no-class-static-block': 'error',
          'es-x/no-intl-segmenter': 'error',
          'es-x/no-regexp-lookbehind-assertions': 'error',
          // WebKit's bug 236843: in Safari 15 such a function takes outer variables for others (build_target.ts).
          'no-restricted-syntax': ['error', { selector: 'PropertyDefinition > :function.value', message: 'A function as the value of a field' }],
          // Later, and everywhere.
          'es-x/no-array-prototype-findlast-findlastindex': 'off',
          ...sameAsOfArrays,
        },
      },
    ],
  });
  for (const { filePath, messages } of await eslint.lintFiles(filesWith('.js'))) {
    const lines = readFileSync(filePath, 'utf8').split('\n');
    for (const { line, column, message } of messages) {
      const text = (lines[line - 1] ?? '').slice(Math.max(0, column - 60), column + 60);
      report(`${filePath.slice(root.length)}:${line}:${column}`, message, text);
    }
  }
}

// ---- Sources ----

/** MDN's word on what a property access or an attribute means, if it is of the DOM. */
function featureOf(node, checker) {
  if (ts.isJsxAttribute(node)) {
    const name = node.name.getText().toLowerCase();
    const element = node.parent.parent.tagName.getText();
    return mdn.html.elements[element] && (mdn.html.elements[element][name] ?? mdn.html.global_attributes[name]);
  }
  if (!ts.isPropertyAccessExpression(node)) return undefined;
  for (const declaration of checker.getSymbolAtLocation(node.name)?.declarations ?? []) {
    if (!/\/lib\.(dom|es)\b[^/]*$/.test(declaration.getSourceFile().fileName)) continue;
    const { parent } = declaration;
    const name = node.name.text;
    if (ts.isInterfaceDeclaration(parent)) {
      const owner = parent.name.text.replace(/Constructor$/, '').replace(/^Readonly(?=Array|Map|Set)/, '');
      return mdn.api[owner]?.[name] ?? mdn.javascript.builtins[owner]?.[name];
    }
    // `declare var URL: { canParse(…): boolean }`
    if (ts.isTypeLiteralNode(parent) && ts.isVariableDeclaration(parent.parent)) {
      const owner = mdn.api[parent.parent.name.getText()];
      return owner?.[`${name}_static`] ?? owner?.[name];
    }
  }
  return undefined;
}

function inSources(report) {
  for (const folder of ['bindings/web', 'examples/travel-lab/web']) {
    const { config } = ts.readConfigFile(join(root, folder, 'tsconfig.json'), ts.sys.readFile);
    const { fileNames, options } = ts.parseJsonConfigFileContent({ ...config, include: ['src'] }, ts.sys, join(root, folder));
    const program = ts.createProgram(fileNames, options);
    const checker = program.getTypeChecker();
    for (const file of program.getSourceFiles()) {
      if (!fileNames.includes(file.fileName)) continue;
      const visit = (node) => {
        const feature = featureOf(node, checker);
        if (feature?.__compat && !isThere(feature)) {
          const { line } = file.getLineAndCharacterOfPosition(node.getStart());
          report(`${file.fileName.slice(root.length)}:${line + 1}`, node.name.getText(), node.getText());
        }
        ts.forEachChild(node, visit);
      };
      visit(file);
    }
  }
}

// ---- Styles ----

const { properties, selectors, types, 'at-rules': atRules } = mdn.css;
const functions = known([...entries(types), ...Object.values(types).flatMap(entries)]);
const units = known(
  entries(types.length).flatMap(([name, unit]) => {
    const kind = /^viewport_percentage_units_(\w)/.exec(name)?.[1];
    if (kind) return ['w', 'h', 'i', 'b', 'min', 'max'].map((side) => [`${kind}v${side}`, unit]);
    if (name.startsWith('container_')) return ['w', 'h', 'i', 'b', 'min', 'max'].map((side) => [`cq${side}`, unit]);
    return [[name, unit]];
  }),
);

/** What of a declaration is not there. */
function missingIn({ prop, value }) {
  const missing = [];
  const property = properties[prop];
  if (property?.__compat && !isThere(property)) missing.push(prop);
  const words = value.replace(/(["']).*?\1|url\([^)]*\)/g, ' ');
  for (const [, name] of words.matchAll(/([a-z][a-z-]*)\(/gi)) if (functions.get(name) === false) missing.push(`${name}()`);
  for (const [, unit] of words.matchAll(/\d([a-z]+)\b/gi)) if (units.get(unit) === false) missing.push(unit);
  for (const [word] of words.matchAll(/(?<![\w-])[a-z][a-z-]*(?![\w(-])/gi)) {
    if (property?.[word]?.__compat && !isThere(property[word])) missing.push(`${prop}: ${word}`);
  }
  return missing;
}

/** An older declaration of the same before it is what such a browser takes; but one with a variable is read too late. */
const hasFallback = (declaration) => {
  if (declaration.value.includes('var(')) return false;
  for (let before = declaration.prev(); before; before = before.prev()) {
    if (before.type === 'decl' && before.prop === declaration.prop && missingIn(before).length === 0) return true;
  }
  return false;
};

const isAsked = (node) => {
  for (let at = node.parent; at; at = at.parent) if (at.type === 'atrule' && at.name === 'supports') return true;
  return false;
};

function inStyles(report) {
  for (const file of filesWith('.css')) {
    const where = ({ source }) => `${file}:${source.start.line}:${source.start.column}`;
    postcss.parse(readFileSync(join(root, file), 'utf8')).walk((node) => {
      if (isAsked(node)) return;
      if (node.type === 'decl' && !hasFallback(node)) {
        for (const name of missingIn(node)) report(where(node), name, node.toString());
      } else if (node.type === 'rule') {
        for (const [, name] of node.selector.matchAll(/::?([a-z-]+)/g)) {
          if (selectors[name]?.__compat && !isThere(selectors[name])) report(where(node), `:${name}`, node.selector);
        }
        if (node.parent.type === 'rule') report(where(node), 'nesting', node.selector);
      } else if (node.type === 'atrule') {
        const rule = atRules[node.name];
        if (rule?.__compat && !isThere(rule)) report(where(node), `@${node.name}`, node.params);
        if (node.name === 'media' && /[<>]/.test(node.params)) report(where(node), 'range syntax', node.params);
      }
    });
  }
}

// ---- What was found ----

const found = [];
const needed = new Set();
const report = (place, what, text) => {
  const isOf = (name) =>
    what === name ||
    [': ', '.'].some((end) => what.startsWith(name + end)) ||
    (what.includes(' ') && what.includes(name)) ||
    text.startsWith(`${name}.`) ||
    place.startsWith(name);
  const reason = Object.keys(mayStay).find(isOf);
  if (reason) needed.add(reason);
  else found.push(`${place} ${what}\n    ${text}`);
};
await inScripts(report);
inSources(report);
inStyles(report);
const idle = Object.keys(mayStay).filter((name) => !needed.has(name));
if (found.length > 0) console.error(`Not in every browser of ${browserslist.join(', ')}:\n${found.join('\n')}`);
if (idle.length > 0) console.error(`Nothing has these any more: ${idle.join(', ')}`);
if (found.length + idle.length > 0) process.exitCode = 1;
else console.log(`Nothing is younger than ${browserslist.join(', ')}.`);
