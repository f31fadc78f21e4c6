// The package as it was built here, on the addon of the dev preset unless another one is named.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const built = fileURLToPath(new URL('../../../../build/dev/bindings/node/travelchat.node', import.meta.url));
if (process.env.TRAVELCHAT_ADDON === undefined && existsSync(built)) process.env.TRAVELCHAT_ADDON = built;
/** The conformance suite that was built with the addon. */
export const conformanceAddon = join(dirname(process.env.TRAVELCHAT_ADDON ?? built), 'travelchat_conformance.node');

export const packageFile = fileURLToPath(new URL('../../dist/index.js', import.meta.url));
export const travelchat = createRequire(import.meta.url)(packageFile);

export const ada = { orgId: 'org-1', role: 'advisor', id: 'ada', name: 'Ada' };
export const carl = { orgId: 'org-1', role: 'client', id: 'carl', name: 'Carl' };

/** The next `count` events, or all up to the first that `until` accepts. */
export async function take(subscription, until) {
  const events = [];
  for (;;) {
    const { done, value } = await subscription.next();
    if (done) throw new Error(`ended after ${JSON.stringify(events)}`);
    events.push(value);
    if (typeof until === 'number' ? events.length === until : until(value)) return events;
  }
}
