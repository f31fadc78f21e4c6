import { defineConfig } from '@playwright/test';
import { browserOptions, desktop, phone } from './harness/browser.ts';

export default defineConfig({
  testDir: 'specs',
  outputDir: '../../build/test-logs/e2e',
  // One, for the tests that hold the product to its times or follow every frame of a long scroll, `@timed`: the server, two pages
  // and the runner share two processors.
  // All others run several at a time (scripts/test), each worker with a server of its own.
  workers: 1,
  fullyParallel: true,
  retries: 0,
  forbidOnly: true,
  // Generous: they only end what has failed already. What the product promises about time is asserted by name.
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [['list'], ['./harness/summary_reporter.ts']],
  use: {
    ...browserOptions,
    screenshot: 'only-on-failure',
    // Pictures of every frame and action would cost more time than the tests: two processors, and no graphics card.
    trace: { mode: 'retain-on-failure', screenshots: false, snapshots: false },
    actionTimeout: 15_000,
  },
  projects: [
    { name: 'desktop', use: desktop, testIgnore: '**/touch.spec.ts' },
    // What a screen or a finger can change; the rest is the same on both.
    { name: 'phone', use: phone, testMatch: /(access|checks|long_thread|look|touch)\.spec\.ts$/ },
  ],
});
