// The service worker: shows what the server pushes, and opens the conversation on a click. It caches nothing.
// A push's payload is JSON: {title, body, url}; url is a page of this app. Its words are shown to whoever is signed in
// here and to nobody else: a session may have ended while no page was open that could have turned notifications off.

const messagesPage = '/dashboard/messages';

// URL.canParse is younger than some phones in use.
function urlOf(text) {
  try {
    return new URL(text, self.location.origin);
  } catch {
    return null;
  }
}

/** The page that a payload names, or the messages when it names none of ours. */
function pageOf(url) {
  const page = typeof url === 'string' ? urlOf(url) : null;
  return page?.origin === self.location.origin ? page.pathname + page.search : messagesPage;
}

/** null for what is no JSON object. */
function payloadOf(data) {
  try {
    const payload = data.json();
    return typeof payload === 'object' ? payload : null;
  } catch {
    return null;
  }
}

const textOr = (text, otherwise) => (typeof text === 'string' && text !== '' ? text : otherwise);

/** The windows of the advisors' pages. A trip's page is the client's and must not be taken away. */
async function windowsOfAdvisor() {
  const windows = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  return windows.filter((each) => /^\/(dashboard|clients|login)(\/|$)/.test(new URL(each.url).pathname));
}

/** Whether somebody looks at that page in this window. Its `url` does not tell: it stays the one it was opened with. */
function isInView(window, page) {
  if (!window.focused) return false;
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    // A page that is being loaded shows nothing yet.
    const timer = setTimeout(() => resolve(false), 500);
    port1.onmessage = ({ data }) => {
      clearTimeout(timer);
      resolve(data === true);
    };
    window.postMessage({ type: 'isInView', page }, [port2]);
  });
}

/** null: it cannot be asked now. */
async function isSignedIn() {
  let timer;
  const tooLate = new Promise((resolve) => (timer = setTimeout(resolve, 5000, null)));
  const asked = attempt(async () => {
    const answer = await fetch('/api/me', { cache: 'no-store' });
    // An answer of a proxy in between, whatever its status, says nothing about the session.
    const { id, code } = await answer.json();
    if (answer.ok) return typeof id === 'string' ? true : null;
    return answer.status === 401 && typeof code === 'string' ? false : null;
  });
  return Promise.race([asked, tooLate]).finally(() => clearTimeout(timer));
}

// Whoever handles a push shows a notification: a browser ends the subscription of a page that does not, Safari after the
// third time, even while the page is in view. Safari also counts a handler that fails, so nothing else may fail it.
// Chromium and Firefox excuse a page that somebody looks at.
const { userAgent = '', userAgentData } = self.navigator ?? {};
const maySkipWhileInView = userAgentData !== undefined || userAgent.includes('Firefox/');

/** null: it did not work. */
async function attempt(work) {
  try {
    return await work();
  } catch {
    return null;
  }
}

async function closeNotifications(filter) {
  for (const shown of await self.registration.getNotifications(filter)) shown.close();
}

async function showSignedOut() {
  await attempt(async () => (await self.registration.pushManager.getSubscription())?.unsubscribe());
  await attempt(() => closeNotifications());
  await self.registration.showNotification('You are signed out', {
    body: 'Sign in to read your messages.',
    tag: messagesPage,
    icon: '/icon-192.png',
    badge: '/badge-96.png',
    data: { page: messagesPage },
  });
}

async function show(data) {
  const signedIn = await isSignedIn();
  if (signedIn === false) {
    await showSignedOut();
    return;
  }
  const payload = (signedIn === true && payloadOf(data)) || {};
  const page = pageOf(payload.url);
  const views = await attempt(async () => Promise.all((await windowsOfAdvisor()).map((each) => isInView(each, page))));
  const isSeen = views?.includes(true) ?? false;
  if (isSeen && maySkipWhileInView) return;
  await self.registration.showNotification(textOr(payload.title, 'New message'), {
    body: textOr(payload.body, ''),
    // The newest message of a conversation takes the place of the one before, and is heard again.
    tag: page,
    renotify: !isSeen,
    silent: isSeen,
    icon: '/icon-192.png',
    badge: '/badge-96.png',
    data: { page },
  });
  if (isSeen) await attempt(() => closeNotifications({ tag: page }));
}

async function open(page) {
  const windows = await windowsOfAdvisor();
  const found = windows.find((each) => each.focused) ?? windows.find((each) => each.visibilityState === 'visible');
  const shown = found ?? windows[0];
  if (shown === undefined) {
    await self.clients.openWindow(page);
    return;
  }
  shown.postMessage({ type: 'open', page });
  await shown.focus();
}

async function subscribeAgain({ oldSubscription, newSubscription }) {
  const send = (method, body) =>
    fetch('/api/push/subscriptions', {
      method,
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
  let subscription = newSubscription;
  if (!subscription) {
    const answer = await fetch('/api/push/key');
    if (!answer.ok) return;
    const { publicKey } = await answer.json();
    subscription = await self.registration.pushManager.subscribe({
      userVisibleOnly: true,
      applicationServerKey: publicKey,
    });
  }
  await send('POST', subscription);
  if (oldSubscription) await send('DELETE', { endpoint: oldSubscription.endpoint });
}

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('push', (event) => event.waitUntil(show(event.data)));
self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  event.waitUntil(open(pageOf(event.notification.data?.page)));
});
self.addEventListener('pushsubscriptionchange', (event) => event.waitUntil(subscribeAgain(event)));
