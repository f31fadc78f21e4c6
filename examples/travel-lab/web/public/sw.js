// The service worker: shows what the server pushes, and opens the conversation on a click. It caches nothing.
// A push's payload is JSON: {title, body, url}; url is a page of this app.

const messagesPage = '/dashboard/messages';

/** The page that a payload names, or the messages when it names none of ours. */
function pageOf(url) {
  if (typeof url === 'string' && URL.canParse(url, self.location.origin)) {
    const page = new URL(url, self.location.origin);
    if (page.origin === self.location.origin) return page.pathname + page.search;
  }
  return messagesPage;
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

async function show(data) {
  const payload = payloadOf(data) ?? {};
  const page = pageOf(payload.url);
  const views = await Promise.all((await windowsOfAdvisor()).map((each) => isInView(each, page)));
  if (views.includes(true)) return;
  await self.registration.showNotification(textOr(payload.title, 'New message'), {
    body: textOr(payload.body, ''),
    // The newest message of a conversation takes the place of the one before, and is heard again.
    tag: page,
    renotify: true,
    icon: '/icon-192.png',
    badge: '/badge-96.png',
    data: { page },
  });
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
