import { defineConfig } from '@playwright/test';
import { browserOptions, desktop, phone } from './harness/browser.ts';

const themes = ['light', 'dark'] as const;

export default defineConfig({
  testDir: 'screenshots',
  testMatch: '*.shots.ts',
  outputDir: '../../build/screenshots',
  workers: 1,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: 'list',
  use: { ...browserOptions, deviceScaleFactor: 1, actionTimeout: 10_000 },
  projects: themes.flatMap((colorScheme) => [
    { name: `1440-${colorScheme}`, use: { ...desktop, deviceScaleFactor: 1, colorScheme } },
    { name: `390-${colorScheme}`, use: { ...phone, deviceScaleFactor: 1, colorScheme } },
  ]),
});
