// The real server: started, stopped, killed and started again, always on the same files and, once it has one, the same port.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export const repository = fileURLToPath(new URL('../../..', import.meta.url));

/** Whether TRAVELCHAT_SERVER is examples/express, whose tables are its own. */
export const isExpress = process.env['TRAVELCHAT_HOST'] === 'express';

// Generous: it only ends a test that has failed already.
const PATIENCE_MS = 20_000;

// The environment's is a command with arguments, split as a shell would, which then makes way for it.
function command(): readonly [file: string, ...first: string[]] {
  const named = process.env['TRAVELCHAT_SERVER'];
  if (named) return ['/bin/sh', '-c', `exec ${named} "$@"`, 'server'];
  const candidates = ['dev', 'release'].map((preset) =>
    path.join(repository, 'build', preset, 'examples/travel-lab/server/travelchat-server'),
  );
  const built = candidates.find((candidate) => existsSync(candidate));
  if (!built) throw new Error('no travelchat-server below build/: build it, or name one in TRAVELCHAT_SERVER');
  return [built];
}

function pages(): string {
  const folder = process.env['TRAVELCHAT_WEB_DIST'] ?? path.join(repository, 'examples/travel-lab/web/dist');
  if (!existsSync(path.join(folder, 'index.html'))) {
    throw new Error(`no index.html in ${folder}: run scripts/build-web first`);
  }
  return folder;
}

export interface ServerOptions {
  /** Clients of the demonstration. */
  readonly demo?: number;
  readonly extra?: readonly string[];
}

export class Server {
  readonly data = mkdtempSync(path.join(tmpdir(), 'travelchat-e2e-'));
  private process: ChildProcess | null = null;
  private log = '';
  private address = '127.0.0.1:0';

  constructor(private readonly options: ServerOptions = {}) {}

  get url(): string {
    return `http://${this.address}`;
  }

  /** What database.ts takes. */
  get database(): string {
    // Several nodes (tests/protocol/cluster) write down what they share.
    const cluster = path.join(this.data, 'cluster.json');
    if (!existsSync(cluster)) return path.join(this.data, isExpress ? 'app.db' : 'travelchat.db');
    return (JSON.parse(readFileSync(cluster, 'utf8')) as { database: string }).database;
  }

  async start(): Promise<void> {
    const { demo = 20, extra = [] } = this.options;
    const [file, ...first] = command();
    const child = spawn(
      file,
      [...first, `--demo=${demo}`, '--data', this.data, '--listen', this.address, '--web', pages(), '--rate-limits', 'off']
        .concat(['--io-threads', '2'], extra),
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.process = child;
    child.stderr?.on('data', (chunk: Buffer) => {
      this.log += chunk.toString();
    });
    await new Promise<void>((resolve, reject) => {
      const refuse = (why: string) => reject(new Error(`the server did not start (${why}):\n${this.log.slice(-4000)}`));
      const timer = setTimeout(() => refuse('no answer'), PATIENCE_MS);
      child.once('error', (error) => refuse(error.message));
      child.once('exit', (code, signal) => refuse(`exit ${code ?? signal}`));
      // To its end: a server must never wait for somebody to read what it prints.
      createInterface({ input: child.stdout! }).on('line', (line) => {
        const ready = /travelchat ready http:\/\/(\S+?)\/?$/.exec(line);
        if (!ready) return;
        clearTimeout(timer);
        child.removeAllListeners('exit');
        this.address = ready[1]!;
        resolve();
      });
    });
  }

  /** SIGTERM. The status that it ended with must be 0. */
  async stop(): Promise<void> {
    const { code, signal } = await this.end('SIGTERM');
    if (code !== 0) throw new Error(`the server ended with ${code ?? signal}, not 0:\n${this.log.slice(-4000)}`);
  }

  /** As a crash or an operator's kill -9. */
  async kill(): Promise<void> {
    await this.end('SIGKILL');
  }

  /** Stops it while `change` runs on its files. */
  async pausedFor(change: () => void): Promise<void> {
    await this.stop();
    change();
    await this.start();
  }

  async discard(): Promise<void> {
    if (this.process) await this.end('SIGKILL');
    rmSync(this.data, { recursive: true, force: true });
  }

  /** Into the file that a failed run leaves behind. */
  keepLog(file: string): void {
    appendFileSync(file, this.log);
  }

  private async end(name: 'SIGTERM' | 'SIGKILL'): Promise<{ code: number | null; signal: string | null }> {
    const child = this.process;
    if (!child) throw new Error('the server is not running');
    this.process = null;
    if (child.exitCode !== null || child.signalCode !== null) return { code: child.exitCode, signal: child.signalCode };
    const patience = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
    const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
    child.kill(name);
    const [code, signal] = await ended;
    clearTimeout(patience);
    return { code, signal };
  }
}
