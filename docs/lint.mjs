// Lints openapi.yaml (Redocly's recommended rules) and asyncapi.yaml (the AsyncAPI parser's). A warning fails too.
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import redocly from '@redocly/openapi-core';
import { Parser, DiagnosticSeverity } from '@asyncapi/parser';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));

const config = await redocly.createConfig({
  extends: ['recommended-strict'],
  // The operator's routes take no input and no credential: nothing a client does is refused there.
  rules: { 'operation-4xx-response': 'off' },
});
const openapi = await redocly.lint({ ref: path('openapi.yaml'), config });
redocly.formatProblems(openapi, { format: 'codeframe', totals: redocly.getTotals(openapi), version: '' });

const source = path('asyncapi.yaml');
const diagnostics = await new Parser().validate(await readFile(source, 'utf8'), { source });
// Below a warning there is only the advice to move to a newer AsyncAPI, which fewer tools read.
const asyncapi = diagnostics.filter(({ severity }) => severity <= DiagnosticSeverity.Warning);
for (const { severity, message, path: where, range } of asyncapi) {
  console.error(`asyncapi.yaml:${range.start.line + 1} ${DiagnosticSeverity[severity]} ${where.join('.')}: ${message}`);
}

const problems = openapi.length + asyncapi.length;
console.log(problems === 0 ? 'openapi.yaml and asyncapi.yaml: no problems' : `${problems} problems`);
process.exitCode = problems === 0 ? 0 : 1;
