// Signing in. A demonstration server tells its logins and share links; they are offered here.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { ArrowRight } from 'lucide-react';
import { useId, useRef, useState, type SubmitEvent } from 'react';
import { Link, Navigate, useLocation, useSearchParams } from 'react-router';
import { api, type Demo } from '../api';
import { useTitle } from '../parts/title';
import { Splash } from '../parts/whole_page';
import { returnPath } from '../return_path';
import { enterSession, sessionQuery, useOtherTabs } from '../session';

const input = `mt-1.5 block w-full rounded-xl border border-line bg-raised px-3.5 py-2.5 text-base outline-offset-0
  placeholder:text-soft aria-invalid:border-alert`;

export function LoginPage() {
  useTitle('Sign in');
  useOtherTabs();
  const queries = useQueryClient();
  const session = useQuery(sessionQuery);
  const [params] = useSearchParams();
  const { state } = useLocation();
  const hasExpired = (state as { hasExpired?: boolean } | null)?.hasExpired === true;
  const [email, setEmail] = useState('');
  const [password, setPassword] = useState('');
  const emailBox = useRef<HTMLInputElement>(null);
  const passwordBox = useRef<HTMLInputElement>(null);
  const errorId = useId();
  const signIn = useMutation({
    mutationFn: () => api.signIn(email.trim(), password),
    onSuccess: (account) => enterSession(queries, account),
    onError: () => passwordBox.current?.select(),
  });

  if (session.isPending) return <Splash />;
  if (session.data?.account) return <Navigate to={returnPath(params.get('next'))} replace />;

  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    if (email.trim() === '') emailBox.current?.focus();
    else if (password === '') passwordBox.current?.focus();
    else if (!signIn.isPending) signIn.mutate();
  };
  const useLogin = (login: Demo['advisors'][number]) => {
    setEmail(login.email);
    setPassword(login.password);
    signIn.reset();
  };

  return (
    <main
      className="grid min-h-view content-start justify-items-center bg-side px-5 pt-[max(2rem,7vh)]
        pb-[max(2rem,env(safe-area-inset-bottom))]"
    >
      <div className="w-full max-w-[380px]">
        <img src="/icon.svg" alt="" width={56} height={56} className="mx-auto size-14" />
        <h1 className="mt-5 text-center text-[28px] font-semibold tracking-tight">Sign in to Travel Lab</h1>
        {hasExpired && !signIn.isError && (
          <p role="status" className="mt-3 text-center text-[15px] text-soft">
            Your session has ended. Please sign in again.
          </p>
        )}
        <form onSubmit={submit} noValidate className="mt-8 space-y-4">
          <label className="block text-[13px] font-medium">
            E-mail
            <input
              ref={emailBox}
              type="email"
              name="email"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              maxLength={254}
              required
              autoFocus
              value={email}
              onChange={(event) => setEmail(event.target.value)}
              aria-invalid={signIn.isError}
              aria-describedby={signIn.isError ? errorId : undefined}
              className={input}
            />
          </label>
          <label className="block text-[13px] font-medium">
            Password
            <input
              ref={passwordBox}
              type="password"
              name="password"
              autoComplete="current-password"
              required
              value={password}
              onChange={(event) => setPassword(event.target.value)}
              aria-invalid={signIn.isError}
              aria-describedby={signIn.isError ? errorId : undefined}
              className={input}
            />
          </label>
          <p id={errorId} role="alert" className="text-[15px] text-alert empty:hidden">
            {signIn.error?.message}
          </p>
          <button
            type="submit"
            aria-disabled={signIn.isPending}
            className="w-full rounded-xl bg-button py-2.5 text-base font-semibold text-white hover:bg-button-hover
              aria-disabled:opacity-60"
          >
            {signIn.isPending ? 'Signing in…' : 'Sign in'}
          </button>
        </form>
        <DemoBox onUse={useLogin} />
      </div>
    </main>
  );
}

const shownTrips = 4;

function DemoBox({ onUse }: { onUse: (login: Demo['advisors'][number]) => void }) {
  // Where there is no demonstration this is a 404, and nothing is shown.
  const { data: demo } = useQuery({ queryKey: ['demo'], queryFn: api.demo, retry: false, staleTime: Infinity });
  const titleId = useId();
  if (demo === undefined) return null;
  return (
    <section
      aria-labelledby={titleId}
      className="mt-8 animate-slideUp overflow-hidden rounded-2xl border border-line bg-raised text-[15px]"
    >
      <div className="px-4 pt-3.5 pb-2">
        <h2 id={titleId} className="font-semibold">
          Demo
        </h2>
        <p className="mt-0.5 text-[13px] text-soft">This server holds invented people. Take a side, or both.</p>
      </div>
      <h3 className="px-4 pt-2 pb-1 text-[13px] font-medium text-soft">Sign in as an advisor</h3>
      <ul>
        {demo.advisors.map((login) => (
          <li key={login.email}>
            <button
              type="button"
              onClick={() => onUse(login)}
              className="flex w-full items-center justify-between gap-3 border-t border-line px-4 py-2 text-left
                text-tint -outline-offset-2 hover:bg-hover"
            >
              <span className="truncate">{login.email}</span>
              <span className="shrink-0 text-[13px] text-soft">Fill in</span>
            </button>
          </li>
        ))}
      </ul>
      {demo.trips.length > 0 && (
        <>
          <h3 className="border-t border-line px-4 pt-3 pb-1 text-[13px] font-medium text-soft">
            Open a trip as its client
          </h3>
          <ul>
            {demo.trips.slice(0, shownTrips).map((trip) => (
              <li key={trip.id}>
                <Link
                  to={`/trip/${encodeURIComponent(trip.id)}?token=${encodeURIComponent(trip.shareToken)}`}
                  target="_blank"
                  className="flex items-center justify-between gap-3 border-t border-line px-4 py-2 text-tint
                    -outline-offset-2 hover:bg-hover"
                >
                  <span className="truncate">{trip.clientName}</span>
                  <ArrowRight aria-hidden="true" className="size-4 shrink-0 text-soft" />
                </Link>
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}
