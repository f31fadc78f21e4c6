import { defineConfig } from '@playwright/test';
import { browserOptions, desktop, phone } from './harness/browser.ts';

// They hold the product to no times but their own patience, so two of them may run at once.
const patient = /(access|input|look|old_browsers|push|safety|shared_computer|survival|tabs|widget_embed)\.spec\.ts$/;

export default defineConfig({
  testDir: 'specs',
  outputDir: '../../build/test-logs/e2e',
  // Two processors: the server, two pages and the runner share them, and the tests hold the product to its times.
  workers: 1,
  fullyParallel: false,
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
    { name: 'desktop', use: desktop, testIgnore: ['**/touch.spec.ts', patient] },
    { name: 'patient-desktop', use: desktop, testMatch: patient },
    // What a screen or a finger can change; the rest is the same on both.
    { name: 'phone', use: phone, testMatch: /(checks|long_thread|touch)\.spec\.ts$/ },
    { name: 'patient-phone', use: phone, testMatch: /(access|look)\.spec\.ts$/ },
  ],
});
