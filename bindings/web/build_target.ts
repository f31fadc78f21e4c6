// What the built files run on, for Vite. It is written down once, as "browserslist" in package.json; what a build cannot
// bring to these browsers, `npm run browsers` finds.
import { readFileSync } from 'node:fs';

const manifest = readFileSync(new URL('package.json', import.meta.url), 'utf8');
const { browserslist } = JSON.parse(manifest) as { browserslist: string[] };

const cssTarget = browserslist.map((browser) => browser.replace('ios_saf', 'ios').replace(' ', ''));

// Fields of classes are said to need Safari 16, because of functions in their initial values (WebKit's bug 236843), which
// `npm run browsers` finds. Without fields, the widget is a fifteenth larger.
const target = cssTarget.map((browser) => browser.replace(/(?<=^(?:safari|ios))15.*/, '16'));

export const buildTarget = { target, cssTarget };
