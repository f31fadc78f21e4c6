// The application's secrets: the one that signs session cookies, and how secrets are compared.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** In constant time. An empty or missing secret is equal to nothing. */
export function equalSecrets(given: string, right: string | null | undefined): boolean {
  if (given === '' || right === undefined || right === null || right === '') return false;
  const [a, b] = [Buffer.from(given), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}

const shortest = 32;

/**
 * What session cookies are signed with: `SESSION_SECRET`, which several machines share; without it, a secret of this
 * machine's own, made at the first start and kept beside the data.
 */
export function sessionSecret(dataDir: string): string {
  const named = process.env['SESSION_SECRET'];
  if (named !== undefined) {
    if (named.length < shortest) throw new Error(`SESSION_SECRET must have at least ${shortest} characters`);
    return named;
  }
  mkdirSync(dataDir, { recursive: true });
  const file = join(dataDir, 'session-secret');
  if (!existsSync(file)) {
    // Linked in one step, so that it never replaces a secret that another process has made meanwhile, nor is half written.
    const own = `${file}.${process.pid}`;
    writeFileSync(own, randomBytes(32).toString('hex'), { mode: 0o600 });
    try {
      linkSync(own, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(own);
    }
  }
  const kept = readFileSync(file, 'utf8');
  if (kept.length < shortest) throw new Error(`${file} holds no secret; delete it to have one made`);
  return kept;
}
