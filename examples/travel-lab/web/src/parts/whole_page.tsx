// Pages that stand alone: while one loads, when one is not there, when one broke.
import { useEffect, useState, type ReactNode } from 'react';
import { Link } from 'react-router';
import { useTitle } from './title';

/** A spinner for what takes longer than a moment. */
export function Spinner({ label = 'Loading' }: { label?: string }) {
  const [isLate, setIsLate] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => setIsLate(true), 250);
    return () => clearTimeout(timer);
  }, []);
  return (
    <div role="status" className="grid h-full place-items-center p-8">
      <span className="sr-only">{label}</span>
      {isLate && (
        <span
          aria-hidden="true"
          className="size-6 animate-spin rounded-full border-2 border-line border-t-ink/60 motion-reduce:animate-none"
        />
      )}
    </div>
  );
}

export function Splash() {
  return (
    <div className="h-view">
      <Spinner />
    </div>
  );
}

/** A page that says one thing. `children`: what can be done about it. */
export function Notice({ title, text, children }: { title: string; text: string; children?: ReactNode }) {
  useTitle(title);
  return (
    <main className="grid min-h-view place-items-center bg-side px-6 py-12">
      <div className="max-w-md animate-slideUp text-center">
        <h1 className="text-2xl font-semibold tracking-tight text-balance">{title}</h1>
        <p className="mt-3 leading-relaxed text-pretty text-soft">{text}</p>
        {children !== undefined && <div className="mt-7 flex flex-wrap justify-center gap-3">{children}</div>}
      </div>
    </main>
  );
}

/** What can be done about a notice, where that is no link. */
export function NoticeButton({ onClick, children }: { onClick: () => void; children: ReactNode }) {
  return (
    <button
      type="button"
      onClick={onClick}
      className="rounded-full bg-button px-5 py-2 font-medium text-white hover:bg-button-hover"
    >
      {children}
    </button>
  );
}

export function NotFound() {
  return (
    <Notice title="There is no such page" text="The address may have a typing error, or the page has moved.">
      <Link to="/" className="text-tint hover:underline">
        To the start page
      </Link>
    </Notice>
  );
}

/** Something threw, or a part of the app did not load: after an update its old parts are gone from the server. */
export function PageFailure() {
  return (
    <Notice title="This page did not open" text="The connection may be down, or the app was updated meanwhile.">
      <NoticeButton onClick={() => window.location.reload()}>Load it again</NoticeButton>
    </Notice>
  );
}
