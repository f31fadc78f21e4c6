// The operator's options: those of the reference server, as far as they mean something here.
import { parseArgs } from 'node:util';

export interface Options {
  address: string;
  port: number;
  dataDir: string;
  demo: number | undefined;
  /** Of a PostgreSQL; undefined: SQLite, in `dataDir`. */
  storage: string | undefined;
  webDir: string | undefined;
  /** The chat is one of the application's middlewares, rather than ahead of it. */
  asMiddleware: boolean;
  trustedProxies: string[];
  /** What the chat is told of them, in its own words. */
  engine: { shards: number; tokenLifetime: number };
  chat: { allowedOrigins: string[]; trustedProxies: string[]; pingInterval: number; silenceTimeout: number; rateLimits?: false };
}

export function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      listen: { type: 'string', default: '127.0.0.1:5000' },
      data: { type: 'string', default: '.travelchat' },
      // Also in the environment: a URL may hold a password, and everybody on a machine can read a command line.
      storage: { type: 'string', ...(process.env['TRAVELCHAT_STORAGE'] && { default: process.env['TRAVELCHAT_STORAGE'] }) },
      'io-threads': { type: 'string', default: '0' },
      demo: { type: 'string' },
      'rate-limits': { type: 'string', default: 'on' },
      'token-lifetime': { type: 'string', default: '86400' },
      'ping-interval': { type: 'string', default: '25' },
      'silence-timeout': { type: 'string', default: '35' },
      'log-level': { type: 'string' },
      'allowed-origin': { type: 'string', multiple: true, default: [] },
      'trusted-proxy': { type: 'string', multiple: true, default: [] },
      web: { type: 'string' },
      middleware: { type: 'boolean', default: false },
    },
  });
  const colon = values.listen.lastIndexOf(':');
  return {
    address: values.listen.slice(0, colon),
    port: Number(values.listen.slice(colon + 1)),
    dataDir: values.data,
    storage: values.storage,
    demo: values.demo === undefined ? undefined : Number(values.demo),
    webDir: values.web,
    asMiddleware: values.middleware,
    trustedProxies: values['trusted-proxy'],
    engine: { shards: Number(values['io-threads']), tokenLifetime: Number(values['token-lifetime']) * 1000 },
    chat: {
      allowedOrigins: values['allowed-origin'],
      trustedProxies: values['trusted-proxy'],
      pingInterval: Number(values['ping-interval']) * 1000,
      silenceTimeout: Number(values['silence-timeout']) * 1000,
      ...(values['rate-limits'] === 'off' && { rateLimits: false as const }),
    },
  };
}
