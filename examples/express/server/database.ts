// The application's database: PostgreSQL, or a SQLite file to try it without one.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import Sqlite from 'better-sqlite3';
import { drizzle as onSqlite } from 'drizzle-orm/better-sqlite3';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import pg from 'pg';

import * as tables from '../shared/schema.ts';
import * as sqliteTables from '../shared/schema_sqlite.ts';
import type { Options } from './options.ts';

export interface Database {
  db: NodePgDatabase;
  tables: typeof tables;
  isSqlite: boolean;
  /** Makes further tables. */
  define(ddl: (types: Types) => string): Promise<void>;
  close(): Promise<void>;
}

/** How the two spell a key that the database or Drizzle makes, and a time that is now. */
interface Types {
  id: string;
  time: string;
}

// What `drizzle-kit push` would make of the schema.
const definitions = ({ id }: Types) => `
  CREATE TABLE IF NOT EXISTS organizations (id ${id}, name text NOT NULL);
  CREATE TABLE IF NOT EXISTS users (id ${id}, email varchar NOT NULL UNIQUE, password_hash text NOT NULL);
  CREATE TABLE IF NOT EXISTS profiles (user_id varchar PRIMARY KEY REFERENCES users (id),
    org_id varchar NOT NULL REFERENCES organizations (id), full_name text NOT NULL, avatar_url text);
  CREATE TABLE IF NOT EXISTS sessions (sid varchar PRIMARY KEY, data text NOT NULL, expires_at timestamp NOT NULL);
  CREATE TABLE IF NOT EXISTS clients (id ${id}, org_id varchar NOT NULL REFERENCES organizations (id),
    full_name text NOT NULL, email text, avatar_url text);
  CREATE TABLE IF NOT EXISTS trips (id ${id}, org_id varchar NOT NULL REFERENCES organizations (id),
    advisor_id varchar NOT NULL REFERENCES users (id), client_id varchar REFERENCES clients (id), title text NOT NULL,
    destination text NOT NULL, starts_on text NOT NULL, ends_on text NOT NULL, summary text NOT NULL,
    share_enabled boolean NOT NULL, share_token text NOT NULL);
`;

export async function openDatabase({ storage, dataDir }: Pick<Options, 'storage' | 'dataDir'>): Promise<Database> {
  if (storage !== undefined) {
    const types = { id: 'varchar PRIMARY KEY DEFAULT gen_random_uuid()', time: 'timestamp DEFAULT now()' };
    const pool = new pg.Pool({ connectionString: storage });
    // Of connections that wait in the pool; those in use tell whoever uses them.
    pool.on('error', (error) => console.error(`database: ${error.message}`));
    await pool.query(definitions(types));
    return {
      db: drizzle(pool),
      tables,
      isSqlite: false,
      define: async (ddl) => void (await pool.query(ddl(types))),
      close: () => pool.end(),
    };
  }
  const types = { id: 'text PRIMARY KEY', time: 'integer' };
  mkdirSync(dataDir, { recursive: true });
  const file = new Sqlite(join(dataDir, 'app.db'));
  file.pragma('journal_mode = WAL');
  file.exec(definitions(types));
  return {
    // The queries of this application are the same on both: promises of rows.
    db: onSqlite(file) as unknown as NodePgDatabase,
    tables: sqliteTables as unknown as typeof tables,
    isSqlite: true,
    define: async (ddl) => void file.exec(ddl(types)),
    close: async () => void file.close(),
  };
}
