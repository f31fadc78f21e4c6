// A peer may reset its connection at any byte. Only that connection may end by it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';

import './support/package.mjs';

const upgrade = (path) =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nCookie: session=ada\r\n` +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';
const get = (path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
// A masked text frame, and a close frame.
const frames = '\x81\x8f\0\0\0\0{"type":"seen"}\x88\x82\0\0\0\0\x03\xe8';

describe('a reset connection', () => {
  let child;
  let lines;
  let servers;
  let ended;

  before(async () => {
    child = spawn(process.execPath, [fileURLToPath(new URL('support/resettable.mjs', import.meta.url))],
      { stdio: ['pipe', 'pipe', 'inherit'] });
    ended = once(child, 'exit');
    lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    servers = JSON.parse((await lines.next()).value);
  });
  after(async () => {
    child.kill();
    await ended;
  });

  async function descriptors() {
    child.stdin.write('?');
    return Number((await lines.next()).value);
  }

  /** Sends the bytes and resets: at once, when the server has had a turn, or when it has begun to answer. */
  function reset(name, bytes, when) {
    const raw = connect(servers[name].port, '127.0.0.1');
    const socket = name === 'tls' ? connectTls({ socket: raw, rejectUnauthorized: false }) : raw;
    return new Promise((resolve) => {
      const end = () => raw.resetAndDestroy();
      for (const one of new Set([raw, socket])) one.on('error', () => undefined);
      raw.on('close', resolve);
      socket.once(name === 'tls' ? 'secureConnect' : 'connect', () =>
        socket.write(Buffer.from(bytes, 'latin1'), () => {
          if (when === 'at once') end();
          else if (when === 'later' || !bytes.includes('\r\n\r\n')) setTimeout(end, 3);
          else socket.once('data', end).once('end', end);
        }));
    });
  }

  /** Every beginning of these bytes, some at a time. */
  async function resetEverywhere(name, bytes, when) {
    let next = 0;
    let count = 0;
    const work = async () => {
      while (next < bytes.length) {
        await reset(name, bytes.slice(0, ++next), when);
        ++count;
      }
    };
    await Promise.all(Array.from({ length: 32 }, work));
    return count;
  }

  test('ends nothing else, at whichever byte of whichever upgrade, 10,000 times', async () => {
    const before = await descriptors();
    const paths = (name) => {
      const { conversation } = servers[name];
      return ['/x', '/ws/inbox', `/ws/chat?conversationId=${conversation}&userType=advisor&userId=ada`];
    };
    let count = 0;
    for (const when of ['at once', 'later', 'while it is answered']) {
      for (const name of ['attached', 'routed', 'shared', 'closed']) {
        for (const path of paths(name)) count += await resetEverywhere(name, upgrade(path) + frames, when);
        count += await resetEverywhere(name, get('/api/conversations') + upgrade('/x'), when);
      }
    }
    for (const path of paths('tls')) count += await resetEverywhere('tls', upgrade(path) + frames, 'later');
    while (count < 10_000) count += await resetEverywhere('attached', upgrade(paths('attached')[count % 3]), 'at once');
    for (const name of ['attached', 'routed', 'closed', 'tls']) {
      for (const path of paths(name)) {
        // The upgrade waits behind an answer that nobody reads.
        for (const when of ['at once', 'later', 'while it is answered']) await reset(name, get('/big') + upgrade(path), when);
      }
    }
    assert.ok(count >= 10_000);
    assert.equal(child.exitCode, null, 'the process has ended');
    const answer = await fetch(`http://127.0.0.1:${servers.attached.port}/livez`, { headers: { connection: 'close' } });
    assert.equal(answer.status, 200);
    await answer.text();
    // Nothing of them is left.
    const started = Date.now();
    let left = await descriptors();
    while (left > before + 1 && Date.now() - started < 60_000) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      left = await descriptors();
    }
    assert.ok(left <= before + 1, `${left} descriptors, ${before} before`);
  });
});
