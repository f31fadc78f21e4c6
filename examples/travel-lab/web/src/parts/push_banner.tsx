// Offers notifications, once: shown until they are on, refused by the browser, or dismissed.
import { useQuery } from '@tanstack/react-query';
import { BellRing } from 'lucide-react';
import { useState } from 'react';
import { pushQuery, useTurnOnPush } from './push_state';

const storageKey = 'travel-lab.push-banner';

// Storage may be closed to this site; then the dismissal holds for this visit.
function wasDismissed(): boolean {
  try {
    return localStorage.getItem(storageKey) === 'dismissed';
  } catch {
    return false;
  }
}

function rememberDismissal() {
  try {
    localStorage.setItem(storageKey, 'dismissed');
  } catch {
    // The dismissal holds for this visit.
  }
}

export function PushBanner() {
  const { data: state } = useQuery(pushQuery);
  const turnOn = useTurnOnPush();
  const [isDismissed, setIsDismissed] = useState(wasDismissed);
  if (state !== 'off' || isDismissed) return null;
  return (
    <section
      aria-label="Notifications"
      data-testid="push-banner"
      className="mx-3 mb-2 animate-slideUp rounded-2xl border border-line bg-raised p-3.5"
    >
      <div className="flex gap-3">
        <BellRing aria-hidden="true" strokeWidth={1.75} className="mt-0.5 size-5 shrink-0 text-tint" />
        <div className="min-w-0 text-[13px] leading-snug">
          <p className="font-semibold">Know when a client writes</p>
          <p className="mt-0.5 text-soft">Get a notification while this page is closed.</p>
          {turnOn.isError && (
            <p role="alert" className="mt-1.5 text-alert">
              Notifications could not be turned on. {turnOn.error.message}
            </p>
          )}
          <div className="mt-2.5 flex gap-2">
            <button
              type="button"
              disabled={turnOn.isPending}
              onClick={() => turnOn.mutate()}
              className="rounded-full bg-button px-3.5 py-1 font-medium text-white hover:bg-button-hover
                disabled:opacity-60"
            >
              Turn on
            </button>
            <button
              type="button"
              onClick={() => {
                rememberDismissal();
                setIsDismissed(true);
              }}
              className="rounded-full px-3 py-1 font-medium text-tint hover:bg-hover"
            >
              Not now
            </button>
          </div>
        </div>
      </div>
    </section>
  );
}
