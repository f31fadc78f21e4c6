// The operator's options: those of the reference server, as far as they mean something here.
import { parseArgs } from 'node:util';

export interface Options {
  address: string;
  port: number;
  dataDir: string;
  ioThreads: number;
  demo: number | undefined;
  rateLimits: boolean;
  tokenLifetimeMs: number;
  pingIntervalMs: number;
  silenceTimeoutMs: number;
  webDir: string | undefined;
  allowedOrigins: string[];
}

export function parseOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      listen: { type: 'string', default: '127.0.0.1:5000' },
      data: { type: 'string', default: '.travelchat' },
      'io-threads': { type: 'string', default: '0' },
      demo: { type: 'string' },
      'rate-limits': { type: 'string', default: 'on' },
      'token-lifetime': { type: 'string', default: '86400' },
      'ping-interval': { type: 'string', default: '25' },
      'silence-timeout': { type: 'string', default: '35' },
      'log-level': { type: 'string' },
      'allowed-origin': { type: 'string', multiple: true, default: [] },
      web: { type: 'string' },
    },
  });
  const colon = values.listen.lastIndexOf(':');
  return {
    address: values.listen.slice(0, colon),
    port: Number(values.listen.slice(colon + 1)),
    dataDir: values.data,
    ioThreads: Number(values['io-threads']),
    demo: values.demo === undefined ? undefined : Number(values.demo),
    rateLimits: values['rate-limits'] !== 'off',
    tokenLifetimeMs: Number(values['token-lifetime']) * 1000,
    pingIntervalMs: Number(values['ping-interval']) * 1000,
    silenceTimeoutMs: Number(values['silence-timeout']) * 1000,
    webDir: values.web,
    allowedOrigins: values['allowed-origin'],
  };
}
