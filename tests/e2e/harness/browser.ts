// Debian's Chromium, and the two screens that everything is tried on.
import type { PlaywrightTestOptions, PlaywrightWorkerOptions } from '@playwright/test';

type Options = Partial<PlaywrightTestOptions & PlaywrightWorkerOptions>;

export const browserOptions: Options = {
  browserName: 'chromium',
  locale: 'en-US',
  timezoneId: 'America/New_York',
  launchOptions: {
    executablePath: process.env['TRAVELCHAT_CHROMIUM'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // A turn of the wheel moves at once, so that a frame's motion can be held against it.
      '--disable-smooth-scrolling',
    ],
  },
};

export const desktop: Options = { viewport: { width: 1440, height: 900 } };
export const phone: Options = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
