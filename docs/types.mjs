// Writes what openapi.yaml and asyncapi.yaml describe as TypeScript, into the packages that speak of it; with --check,
// says whether that is what stands there.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import redocly from '@redocly/openapi-core';
import openapiTypescript, { astToString } from 'openapi-typescript';

// Values of the web package are never changed; an application in Node may do with its own what it likes.
// Constants stand where a package needs the names while it runs: `names` are all members of a schema, `nulls` those that
// may be null, as null.
const outputs = [
  { path: '../bindings/web/src/core/wire.ts', immutable: true, nulls: ['Message'] },
  { path: '../bindings/node/src/wire.ts', immutable: false, names: ['Draft'] },
];
const heading = `// Made by docs/types.mjs from docs/openapi.yaml and docs/asyncapi.yaml, which are the place to change something:
// \`npm run types\` in docs/ writes it anew.
`;

const resolve = (name) => fileURLToPath(new URL(name, import.meta.url));
const resolver = new redocly.BaseResolver();
const load = async (name) => (await resolver.resolveDocument(null, resolve(name), true)).parsed;
const openapi = await load('openapi.yaml');
const asyncapi = await load('asyncapi.yaml');

const capital = (name) => name[0].toUpperCase() + name.slice(1);
const refTo = (name) => `#/components/schemas/${name}`;

/** A copy in which every reference is one within a single document. */
function joined(node) {
  if (Array.isArray(node)) return node.map(joined);
  if (typeof node !== 'object' || node === null) return node;
  const entries = Object.entries(node).map(([key, value]) =>
    key === '$ref' ? [key, value.replace(/^\.\/openapi\.yaml/, '')] : [key, joined(value)],
  );
  return Object.fromEntries(entries);
}

/** What the sockets carry: a schema for each message, and a union for each direction of each socket. */
function messagesOf({ operations, components, channels }) {
  const schemas = {};
  for (const [name, { action, summary, messages }] of Object.entries(operations)) {
    const kind = action === 'send' ? 'Event' : 'Frame';
    const oneOf = messages.map(({ $ref }) => {
      const [, , channel, , key] = $ref.split('/');
      const message = channels[channel].messages[key].$ref.split('/').at(-1);
      const { title, summary: more, payload } = components.messages[message];
      schemas[capital(message) + kind] = { description: [title, more].filter(Boolean).join('. '), ...payload };
      return { $ref: refTo(capital(message) + kind) };
    });
    // sendInboxEvents: InboxEvent.
    schemas[capital(name.replace(/^(send|receive)/, '').replace(/s$/, ''))] = { description: summary, oneOf };
  }
  return joined(schemas);
}

/** Those of the schemas that are spoken of by what is in `roots`, directly or not. */
function reachable(schemas, roots) {
  const found = new Set();
  const look = (node) => {
    if (typeof node !== 'object' || node === null) return;
    for (const [key, value] of Object.entries(node)) {
      if (key !== '$ref') {
        look(value);
      } else if (!found.has(value)) {
        found.add(value);
        look(value.split('/').slice(1).reduce((at, part) => at[part], { components: { ...openapi.components, schemas } }));
      }
    }
  };
  look(roots);
  return Object.fromEntries(Object.entries(schemas).filter(([name]) => found.has(refTo(name))));
}

const resolved = (schema) => ('$ref' in schema ? resolved(schemas[schema.$ref.split('/').at(-1)]) : schema);

/** The members of an object, those of the schemas that it is made of included: name and schema. */
function membersOf(schema) {
  const { properties = {}, allOf = [] } = resolved(schema);
  return [...allOf.flatMap(membersOf), ...Object.entries(properties)];
}

const mayBeNull = ({ type, anyOf = [] }) => [type].flat().includes('null') || anyOf.some(mayBeNull);

const constant = (name, type, description, members, value) =>
  `/** ${description} */\nexport const ${name} = {\n${members.map(([member]) => `  ${member}: ${value},\n`).join('')}} as const satisfies ${type};\n`;

const namesOf = (name) =>
  constant(`${name[0].toLowerCase()}${name.slice(1)}Members`, `Record<keyof ${name}, true>`, `The members of ${name}.`,
    membersOf(schemas[name]), 'true');
const nullsOf = (name) =>
  constant(`nullsOf${name}`, `Partial<${name}>`, `The members of ${name} that may be null.`,
    membersOf(schemas[name]).filter(([, schema]) => mayBeNull(resolved(schema))), 'null');

// The reference server's own routes are no business of who embeds the chat.
const operations = Object.values(openapi.paths).map(({ parameters, ...methods }) => [
  parameters,
  Object.values(methods).filter(({ tags }) => !tags.includes('Reference server')),
]);
const messages = messagesOf(asyncapi);
const schemas = reachable(
  { ...joined(openapi.components.schemas), ...messages },
  [operations, Object.keys(messages).map((name) => ({ $ref: refTo(name) }))],
);
const document = { openapi: openapi.openapi, info: openapi.info, paths: {}, components: { schemas } };

let stale = 0;
for (const { path, immutable, names = [], nulls = [] } of outputs) {
  const tree = await openapiTypescript(structuredClone(document), { immutable, rootTypes: true, rootTypesNoSchemaPrefix: true });
  const text = heading + astToString(tree) + [...names.map(namesOf), ...nulls.map(nullsOf)].join('');
  if (!process.argv.includes('--check')) {
    await writeFile(resolve(path), text);
  } else if ((await readFile(resolve(path), 'utf8').catch(() => '')) !== text) {
    console.error(`${path.slice('../'.length)} is not what the specifications say: run npm run types in docs/`);
    stale += 1;
  }
}
process.exitCode = stale === 0 ? 0 : 1;
