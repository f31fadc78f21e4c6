// Fingers: what a phone does beyond the checks. Only on the phone.
import { expect, test } from '../harness/test.ts';
import { devTools, holdFinger } from '../harness/thread.ts';

test('a finger that moves 10 px is scrolling, not holding', async ({ browsers, room }) => {
  await room.converse(30);
  const thread = await browsers.advisorThread(room);
  await thread.expectAtEnd();
  const bubble = thread.bubble('line 29');
  const box = (await bubble.boundingBox())!;
  const session = await devTools(thread.page);
  const x = Math.round(box.x + box.width / 2);
  const y = Math.round(box.y + box.height / 2);
  // From here on, time passes only when the test says so.
  await thread.page.clock.install();
  await thread.page.clock.pauseAt(Date.now() + 1_000);
  await session.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [{ x, y }] });
  await session.send('Input.dispatchTouchEvent', { type: 'touchMove', touchPoints: [{ x, y: y + 12 }] });
  await thread.page.clock.runFor(2_000);
  await expect(thread.picker).toBeHidden();
  await session.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  await expect(thread.picker).toBeHidden();
});

test('a tap elsewhere puts the picker away', async ({ browsers, room }) => {
  await room.clientSays('Hold me');
  const thread = await browsers.advisorThread(room);
  await holdFinger(thread.page, thread.bubble('Hold me'), () => expect(thread.picker).toBeVisible());
  await expect(thread.picker).toBeVisible();
  const frame = (await thread.scroller.boundingBox())!;
  await thread.page.touchscreen.tap(frame.x + frame.width / 2, frame.y + frame.height / 2);
  await expect(thread.picker).toBeHidden();
});

test('a held finger answers after about 450 ms', { tag: '@timed' }, async ({ browsers, room }) => {
  await room.clientSays('Hold me');
  const thread = await browsers.advisorThread(room);
  await thread.page.evaluate(() => {
    const took = new Promise<number>((resolve) => {
      document.addEventListener(
        'pointerdown',
        () => {
          const start = performance.now();
          const frame = () => {
            if (document.querySelector('[role=toolbar]')) resolve(performance.now() - start);
            else requestAnimationFrame(frame);
          };
          frame();
        },
        { capture: true, once: true },
      );
    });
    Object.assign(window, { took });
  });
  await holdFinger(thread.page, thread.bubble('Hold me'), () => expect(thread.picker).toBeVisible());
  const took = await thread.page.evaluate(() => (window as unknown as { took: Promise<number> }).took);
  expect(took).toBeGreaterThan(400);
  expect(took).toBeLessThan(650);
});

test('a small screen, as with the keyboard up, keeps the input in sight and the newest message above it', async ({
  browsers,
  room,
}) => {
  await room.converse(30);
  const thread = await browsers.openWidget(room);
  await thread.expectAtEnd();
  await thread.page.setViewportSize({ width: 390, height: 430 });
  await expect(thread.input).toBeInViewport({ ratio: 1 });
  await expect(thread.bubble('line 30')).toBeInViewport({ ratio: 1 });
  await thread.expectAtEnd();
});
