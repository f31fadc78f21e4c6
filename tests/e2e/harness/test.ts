// What a test has at hand: the server of its worker, a conversation that no other test uses, and browsers for its people.
import { test as base } from '@playwright/test';
import { Server, type ServerOptions } from './server.ts';
import { Browsers } from './browsers.ts';
import { Room } from './room.ts';
import { addToDatabase, demoPasswordHash, hostRows, type Names, organization, type Organization } from './organizations.ts';

export { expect } from '@playwright/test';

const ORGANIZATIONS = 120;

/** A server with `count` organizations for tests in it. */
async function startServer(
  options: ServerOptions = {},
  count = ORGANIZATIONS,
  names: (number: number) => Names = () => ({}),
): Promise<{ server: Server; organizations: Organization[] }> {
  const server = new Server(options);
  try {
    await server.start();
    const organizations = Array.from({ length: count }, (_, number) => organization(number, names(number)));
    await server.pausedFor(() => {
      const hash = demoPasswordHash(server.database);
      addToDatabase(server.database, organizations.flatMap((each) => hostRows(each, hash)));
    });
    return { server, organizations };
  } catch (error) {
    await server.discard();
    throw error;
  }
}

interface LaunchedServer {
  readonly server: Server;
  readonly browsers: Browsers;
  /** In its first organization. */
  readonly room: Room;
  readonly organizations: Organization[];
}

interface TestFixtures {
  readonly isPhone: boolean;
  readonly browsers: Browsers;
  /** A conversation in an organization of its own. */
  readonly room: Room;
  /** A further server with options of its own, and people whom `names` names; it ends with the test. */
  readonly launch: (options?: ServerOptions, names?: (number: number) => Names) => Promise<LaunchedServer>;
}

interface WorkerFixtures {
  readonly world: { readonly server: Server; readonly organizations: Organization[] };
  readonly server: Server;
}

export const test = base.extend<TestFixtures, WorkerFixtures>({
  world: [
    async ({}, use) => {
      const world = await startServer();
      try {
        await use(world);
        await world.server.stop();
      } finally {
        await world.server.discard();
      }
    },
    { scope: 'worker' },
  ],

  server: [async ({ world }, use) => use(world.server), { scope: 'worker' }],

  isPhone: async ({ hasTouch }, use) => use(hasTouch),

  browsers: async ({ browser, server, isPhone }, use, testInfo) => {
    const browsers = new Browsers(browser, server, isPhone);
    await use(browsers);
    await browsers.close();
    if (testInfo.status !== testInfo.expectedStatus) server.keepLog(testInfo.outputPath('server.log'));
    base.expect(browsers.pageErrors).toEqual([]);
  },

  room: async ({ world }, use) => {
    const next = world.organizations.pop();
    if (!next) throw new Error(`more than ${ORGANIZATIONS} tests in one worker: raise ORGANIZATIONS`);
    await use(await Room.open(world.server.url, next));
  },

  launch: async ({ browser, isPhone }, use, testInfo) => {
    const launched: LaunchedServer[] = [];
    try {
      await use(async (options, names) => {
        const { server, organizations } = await startServer(options, 4, names);
        const room = await Room.open(server.url, organizations[0]!);
        const one = { server, organizations, room, browsers: new Browsers(browser, server, isPhone) };
        launched.push(one);
        return one;
      });
      for (const { browsers, server } of launched) {
        await browsers.close();
        base.expect(browsers.pageErrors).toEqual([]);
        await server.stop();
      }
    } finally {
      for (const { server } of launched) {
        if (testInfo.status !== testInfo.expectedStatus) server.keepLog(testInfo.outputPath('launched.log'));
        await server.discard();
      }
    }
  },
});
