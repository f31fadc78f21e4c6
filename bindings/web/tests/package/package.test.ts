// The package as others get it: its archive, laid out in an empty project. `npm run build` comes before.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

let project: string;
let installed: string;

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'travelchat-web-'));
  execFileSync(process.execPath, ['scripts/pack.mjs', '--out', project], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  const [archive] = readdirSync(project);
  installed = join(project, 'node_modules/travelchat-web');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', join(project, archive!), '-C', installed, '--strip-components=1']);
  // What npm would fetch: what it depends on, and what a React application has.
  for (const name of ['linkify-it', 'react', 'react-dom', '@types/react', '@types/react-dom']) {
    mkdirSync(dirname(join(project, 'node_modules', name)), { recursive: true });
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name));
  }
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
});

afterAll(() => rmSync(project, { recursive: true }));

const consumer = `
  import { ChatClient, fetchChatGrant, type ChatGrant, type ThreadSnapshot } from 'travelchat-web';
  import { ChatProvider, ChatThread, ClientChatWidget, useThread, type ChatStrings } from 'travelchat-web/react';

  export const strings: Partial<ChatStrings> = { today: 'Hoy', newMessages: (count: number) => String(count) };
  export const client = new ChatClient({ me: { type: 'advisor', id: 'ada', name: 'Ada' }, credential: { kind: 'session' } });
  export const grant: Promise<ChatGrant> = fetchChatGrant({ tripId: 'trip', shareToken: 'secret' });
  export const words = (snapshot: ThreadSnapshot): string[] => snapshot.rows.map(({ message }) => message.content);
  export function Page() {
    const thread = useThread(client, 'conversation');
    return <ChatProvider locale="es" strings={strings}>
      <ChatThread thread={thread} otherName="Carl" otherAvatarUrl={null} />
      <ClientChatWidget tripId="trip" shareToken="secret" />
    </ChatProvider>;
  }
  // @ts-expect-error A person of a kind that there is not.
  new ChatClient({ me: { type: 'robot', id: 'r', name: 'R' }, credential: { kind: 'session' } });
  // @ts-expect-error A message has no such member.
  export const wrong = (snapshot: ThreadSnapshot) => snapshot.rows[0]!.message.nonsense;
`;

function problemsOf(options: ts.CompilerOptions): string[] {
  const file = join(project, 'consumer.tsx');
  writeFileSync(file, consumer);
  const program = ts.createProgram([file], {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2022.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts'],
    jsx: ts.JsxEmit.ReactJSX,
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: [],
    ...options,
  });
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ file: at, messageText }) => `${at?.fileName ?? ''}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`);
}

describe('an application that installs the archive', () => {
  test('compiles with the resolution of Node', () => {
    expect(problemsOf({ module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext })).toEqual([]);
  });

  test('compiles with the resolution of bundlers', () => {
    expect(problemsOf({ module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler })).toEqual([]);
  });

  test('finds every file that the package says it has', async () => {
    const { exports } = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
      exports: Record<string, string | Record<string, string>>;
    };
    const files = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [entry] : Object.values(entry)));
    expect(files.length).toBeGreaterThan(4);
    expect(files.filter((file) => !existsSync(join(installed, file)))).toEqual([]);
    const core = (await import(join(installed, 'dist/index.js'))) as { ChatClient: unknown };
    expect(core.ChatClient).toBeTypeOf('function');
  });
});

describe('the archive', () => {
  test('has the licence', () => {
    expect(readFileSync(join(installed, 'LICENSE'), 'utf8')).toBe(readFileSync(join(root, '../../LICENSE'), 'utf8'));
  });

  test('has every file that its README links to', () => {
    const readme = readFileSync(join(installed, 'README.md'), 'utf8');
    const links = [...readme.matchAll(/\]\((?!#|[a-z]+:)([^)#\s]+)/g)].map(([, path]) => path!);
    expect(links.length).toBeGreaterThan(0);
    expect(links.filter((path) => !existsSync(join(installed, path)))).toEqual([]);
  });
});
