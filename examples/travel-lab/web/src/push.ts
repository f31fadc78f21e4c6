// Web push on the page's side: asking, subscribing, and telling the server. What arrives is shown by public/sw.js.
import { ApiError, request } from './api';

/** off: could be turned on. */
export type PushState = 'unsupported' | 'denied' | 'off' | 'on';

/** In milliseconds: how long signing out waits for a server that does not answer. */
const PATIENCE = 5000;

const isSupported = 'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window;

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function isSame(left: ArrayBuffer | null, right: Uint8Array): boolean {
  if (left === null || left.byteLength !== right.byteLength) return false;
  const bytes = new Uint8Array(left);
  return right.every((byte, i) => byte === bytes[i]);
}

/** null: this server sends no notifications. */
async function serverKey(): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    return bytesOf((await request<{ publicKey: string }>('GET', '/api/push/key')).publicKey);
  } catch (failure) {
    if (failure instanceof ApiError && failure.status === 404) return null;
    throw failure;
  }
}

async function worker(): Promise<ServiceWorkerRegistration> {
  await navigator.serviceWorker.register('/sw.js');
  return navigator.serviceWorker.ready;
}

// A subscription is bound to the server's key: after a new one (another data folder) it would bring nothing.
async function subscribe(key: Uint8Array<ArrayBuffer>): Promise<void> {
  const { pushManager } = await worker();
  let subscription = await pushManager.getSubscription();
  if (subscription !== null && !isSame(subscription.options.applicationServerKey, key)) {
    await subscription.unsubscribe();
    subscription = null;
  }
  try {
    subscription ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  } catch (failure) {
    // The browser's own message is for developers.
    throw new Error('The browser did not get on to its push service.', { cause: failure });
  }
  await request('POST', '/api/push/subscriptions', { body: subscription });
}

/** After signing in: a browser that has the permission is subscribed again for this advisor. Never asks for it. */
export async function resumePush(): Promise<PushState> {
  if (!isSupported) return 'unsupported';
  if (Notification.permission === 'denied') return 'denied';
  const key = await serverKey();
  if (key === null) return 'unsupported';
  if (Notification.permission !== 'granted') return 'off';
  try {
    await subscribe(key);
    return 'on';
  } catch {
    return 'off';
  }
}

/** Call it from a click: the browser may ask. Throws when the browser or the server refuses. */
export async function turnOnPush(): Promise<PushState> {
  const permission = await Notification.requestPermission();
  if (permission !== 'granted') return permission === 'denied' ? 'denied' : 'off';
  const key = await serverKey();
  if (key === null) return 'unsupported';
  await subscribe(key);
  return 'on';
}

/** Before signing out, and when a session is over: notifications for one person must not appear, or stay, in front of the
 * next. The browser ends its subscription whatever the server says, which may not answer or may refuse; the push service
 * then tells the server that the subscription is gone. */
export async function turnOffPush(): Promise<void> {
  if (!isSupported) return;
  const registration = await navigator.serviceWorker.getRegistration('/');
  if (!registration) return;
  for (const notification of await registration.getNotifications()) notification.close();
  const subscription = await registration.pushManager.getSubscription();
  if (!subscription) return;
  const { endpoint } = subscription;
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE);
  const told = request('DELETE', '/api/push/subscriptions', { body: { endpoint }, signal: abort.signal });
  await Promise.allSettled([told, subscription.unsubscribe()]);
  clearTimeout(timer);
}

/** Answers the worker, which asks what is on the screen and, after a click on a notification, for a page. */
export function answerWorker({ isInView, open }: { isInView(page: string): boolean; open(page: string): void }) {
  if (!('serviceWorker' in navigator)) return;
  navigator.serviceWorker.addEventListener('message', ({ data, ports }: MessageEvent<unknown>) => {
    const { type, page } = (data ?? {}) as { type?: unknown; page?: unknown };
    if (typeof page !== 'string' || !page.startsWith('/')) return;
    if (type === 'isInView') ports[0]?.postMessage(isInView(page));
    else if (type === 'open') open(page);
  });
}
