// The oldest browsers that the builds aim at ("browserslist" in bindings/web/package.json): what one of them lacks is taken
// away from this one. And browsers whose language is no language tag.
import type { BrowserContext } from '@playwright/test';
import { expect, test } from '../harness/test.ts';
import { PASSWORD } from '../harness/organizations.ts';

async function makeOld(context: BrowserContext): Promise<void> {
  await context.addInitScript(() => {
    const lacking: [object, string[]][] = [
      [URL, ['canParse', 'parse']],
      [HTMLElement.prototype, ['popover', 'showPopover', 'hidePopover', 'togglePopover', 'inert']],
      [HTMLButtonElement.prototype, ['popoverTargetElement', 'popoverTargetAction']],
      [Intl, ['Segmenter', 'DurationFormat']],
      [String.prototype, ['toWellFormed', 'isWellFormed']],
      [Array.prototype, ['toSorted', 'toReversed', 'toSpliced', 'with']],
      [Array, ['fromAsync']],
      [Object, ['groupBy']],
      [Promise, ['withResolvers', 'try']],
      [AbortSignal, ['timeout', 'any']],
      [Document.prototype, ['adoptedStyleSheets', 'startViewTransition']],
      [ShadowRoot.prototype, ['adoptedStyleSheets']],
      [CSSStyleSheet.prototype, ['replace', 'replaceSync']],
      [globalThis, ['scheduler', 'CloseWatcher', 'requestIdleCallback', 'Iterator']],
    ];
    for (const [owner, names] of lacking) for (const name of names) delete (owner as Record<string, unknown>)[name];
    const { RegExp: Original } = globalThis;
    globalThis.RegExp = new Proxy(Original, {
      construct(target, [source, flags]: [string, string?]) {
        if (flags?.includes('v')) throw new SyntaxError('Invalid flags supplied to RegExp constructor');
        return new target(source, flags);
      },
    });
    // An attribute that this browser would understand.
    const forget = () => document.querySelectorAll('[popover], [inert]').forEach((element) => {
      element.removeAttribute('popover');
      element.removeAttribute('inert');
    });
    new MutationObserver(forget).observe(document, { subtree: true, childList: true, attributes: true });
  });
}

for (const age of ['in an old browser', "in today's browser"]) {
  test.describe(age, () => {
    const isOld = age === 'in an old browser';

    test('an advisor signs in from a link to a conversation and answers', async ({ browsers, room }) => {
      await room.clientSays('Are you there? 👍🏽');
      const context = await browsers.context();
      if (isOld) await makeOld(context);
      const page = await context.newPage();
      await page.goto(room.threadPath);
      await page.getByLabel('E-mail').fill(room.advisor.email);
      await page.getByLabel('Password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Sign in' }).click();
      const thread = browsers.threadOn(page);
      await expect(thread.row('Are you there? 👍🏽')).toBeVisible();
      await thread.send('I am');
      await thread.send('🎉');
      await expect(page.locator('.tc-jumbo')).toHaveText('🎉');
      await expect.poll(() => room.contents()).toEqual(['Are you there? 👍🏽', 'I am', '🎉']);
      await thread.react('Are you there? 👍🏽', 'Heart');
      await expect(thread.pill('Are you there? 👍🏽')).toBeVisible();
    });

    test('the account menu is there while it is wanted', async ({ browsers, room }) => {
      const context = await browsers.advisorContext(room.advisor);
      if (isOld) await makeOld(context);
      const page = await context.newPage();
      await page.goto('/dashboard/messages');
      const button = page.getByRole('button', { name: 'Account' });
      const signOut = page.getByRole('button', { name: 'Sign out' });
      const menu = page.locator('#account-menu');
      await expect(button).toHaveAttribute('aria-expanded', 'false');
      await expect(menu).toBeHidden();

      await button.click();
      await expect(button).toHaveAttribute('aria-expanded', 'true');
      await expect(menu).toBeInViewport({ ratio: 1 });
      // Nothing lies over it.
      await signOut.click({ trial: true });
      await page.keyboard.press('Escape');
      await expect(menu).toBeHidden();
      await expect(button).toBeFocused();

      await page.keyboard.press('Enter');
      await page.keyboard.press('Tab');
      await expect(menu.locator(':focus')).toHaveCount(1);
      await button.click();
      await expect(menu).toBeHidden();

      await button.click();
      await page.getByRole('searchbox').click();
      await expect(menu).toBeHidden();
      await button.click();
      await expect(menu).toBeVisible();
      await signOut.click();
      await expect(page.getByRole('heading', { name: 'Sign in to Travel Lab' })).toBeVisible();
    });

    test('a client chats on the trip page', async ({ browsers, room }) => {
      await room.advisorSays('Welcome!');
      const context = await browsers.context();
      if (isOld) await makeOld(context);
      const widget = await browsers.widget(room, context);
      const thread = await widget.open();
      await expect(thread.row('Welcome!')).toBeVisible();
      await thread.send('Hello');
      await expect(thread.row('Hello')).toHaveAttribute('data-status', 'sent');
      await widget.close();
      await expect(widget.launcher).toBeFocused();
    });
  });
}

for (const language of ['en-US@posix', 'de-DE@euro', 'C', 'und', '', 'fr-FR']) {
  test(`advisor and client chat in a browser whose language is "${language}"`, async ({ browsers, room }) => {
    await room.clientSays('Bonjour');
    const say = (context: BrowserContext) =>
      context.addInitScript((text) => {
        Object.defineProperty(navigator, 'language', { get: () => text });
        Object.defineProperty(navigator, 'languages', { get: () => [text] });
      }, language);
    const desk = await browsers.advisorContext(room.advisor);
    await say(desk);
    const advisor = await browsers.advisorThread(room, desk);
    await expect(advisor.row('Bonjour')).toBeVisible();
    const trip = await browsers.context();
    await say(trip);
    const { page, launcher, thread } = await browsers.widget(room, trip);
    await launcher.click();
    await advisor.send('Salut');
    await expect(thread.row('Salut')).toBeVisible();
    await expect(page.locator('.tc-divider').first()).toHaveText(/^Today \d/);
  });
}
