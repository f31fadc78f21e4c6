// The client's portal: one trip, and the chat with its advisor when the page was opened by the share link.
import { useQuery } from '@tanstack/react-query';
import { CalendarDays, ChevronLeft, MapPin, MoonStar, type LucideIcon } from 'lucide-react';
import { lazy, Suspense, type ComponentType, type ReactNode } from 'react';
import { Link, useLocation, useParams, useSearchParams } from 'react-router';
import type { ClientChatWidgetProps } from 'travelchat-web/react';
import { api, ApiError, type TripView } from '../api';
import { dateRange, nights, whenLabel } from '../dates';
import { Avatar } from '../parts/avatar';
import { locale } from '../parts/locale';
import { Scenery } from '../parts/scenery';
import { useTitle } from '../parts/title';
import { Notice, NoticeButton, Splash } from '../parts/whole_page';
import { loginPath } from '../return_path';

// The trip can be read without its chat, so a failure to load this part shows nothing and breaks nothing else. It is asked
// for again: a server that restarts is back within seconds.
const ClientChat = lazy(async (): Promise<{ default: ComponentType<ClientChatWidgetProps> }> => {
  for (let pause = 1_000; pause <= 32_000; pause *= 2) {
    try {
      return await import('../parts/client_chat');
    } catch {
      await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random() / 2)));
    }
  }
  return { default: () => null };
});

export function TripPage() {
  const { id = '' } = useParams();
  const [params] = useSearchParams();
  // An empty one is a link that was cut.
  const token = params.get('token') || null;
  const view = useQuery({
    queryKey: ['trip-view', id, token],
    queryFn: (context) => api.tripView(id, token, context),
  });
  if (view.isPending) return <Splash />;
  if (view.data === undefined) return <TripFailure failure={view.error} hasToken={token !== null} view={view} />;
  const { trip } = view.data;
  return (
    <>
      <Portal data={view.data} isPreview={token === null} />
      {token !== null && trip.clientId !== null && (
        <Suspense>
          <ClientChat tripId={trip.id} shareToken={token} tripTitle={trip.title || 'Your Trip'} />
        </Suspense>
      )}
    </>
  );
}

interface TripFailureProps {
  failure: Error | null;
  hasToken: boolean;
  view: { refetch(): unknown };
}

function TripFailure({ failure, hasToken, view }: TripFailureProps) {
  const location = useLocation();
  const status = failure instanceof ApiError ? failure.status : 0;
  if (status === 403) {
    return (
      <Notice
        title="This link no longer opens the trip"
        text="Your advisor may have turned sharing off, or sent you a newer link. Please ask for it."
      />
    );
  }
  if (status === 404) {
    return (
      <Notice
        title="This trip is not here"
        text="Please check that you opened the whole link. If you did, your advisor can send you a new one."
      />
    );
  }
  if (!hasToken && (status === 400 || status === 401)) {
    return (
      <Notice
        title="This link is not complete"
        text="A part at its end is missing. Please open it again from your advisor's message, or copy all of it."
      >
        <Link to={loginPath(location)} className="text-tint hover:underline">
          Sign in as an advisor
        </Link>
      </Notice>
    );
  }
  return (
    <Notice title="The trip could not be loaded" text={failure?.message ?? ''}>
      <NoticeButton onClick={() => void view.refetch()}>Try again</NoticeButton>
    </Notice>
  );
}

function Portal({ data: { trip, advisor, client }, isPreview }: { data: TripView; isPreview: boolean }) {
  useTitle(trip.title || 'Your Trip');
  const count = nights(trip.startsOn, trip.endsOn);
  const when = whenLabel(trip.startsOn, trip.endsOn, new Date(), locale);
  return (
    <div className="min-h-view bg-ground pb-28">
      {isPreview && <PreviewBar clientName={client?.fullName ?? null} clientId={trip.clientId} />}
      <header className="relative isolate flex min-h-[min(54vh,500px)] items-end overflow-hidden text-white">
        <Scenery seed={trip.id} className="absolute inset-0 -z-10 size-full" />
        {/* Keeps the title readable on any landscape. */}
        <div
          className="absolute inset-x-0 bottom-0 -z-10 h-2/3 bg-linear-to-t from-black/70 via-black/35 to-transparent"
        />
        <div className="mx-auto w-full max-w-3xl px-5 pt-24 pb-9 md:px-8 md:pb-12">
          {client !== null && (
            <p dir="auto" className="text-[15px] font-medium">
              For {client.fullName}
            </p>
          )}
          <h1
            dir="auto"
            className="mt-1.5 text-[40px] leading-[1.05] font-bold tracking-tight text-balance md:text-6xl"
          >
            {trip.title || 'Your Trip'}
          </h1>
        </div>
      </header>
      <main className="mx-auto max-w-3xl px-5 md:px-8">
        <dl className="flex flex-wrap gap-x-10 gap-y-5 border-b border-line py-7">
          <Fact icon={MapPin} name="Where">
            <span dir="auto">{trip.destination}</span>
          </Fact>
          <Fact icon={CalendarDays} name="When">
            {dateRange(trip.startsOn, trip.endsOn, locale)}
            {when !== null && <span className="text-soft"> · {when}</span>}
          </Fact>
          {count !== null && (
            <Fact icon={MoonStar} name="How long">
              {count} {count === 1 ? 'night' : 'nights'}
            </Fact>
          )}
        </dl>
        <p dir="auto" className="py-8 text-[21px] leading-relaxed tracking-tight text-pretty whitespace-pre-line">
          {trip.summary}
        </p>
        {advisor !== null && (
          <section aria-label="Your advisor" className="flex items-center gap-4 rounded-2xl bg-side p-5">
            <Avatar url={advisor.avatarUrl} size={56} />
            <div className="min-w-0">
              <p className="text-[13px] text-soft">Your advisor</p>
              <p dir="auto" className="text-[17px] font-semibold tracking-tight">
                {advisor.fullName}
              </p>
              {!isPreview && trip.clientId !== null && (
                <p className="mt-0.5 text-[15px] text-pretty text-soft">
                  Questions or second thoughts? Write at any time, with the blue button below.
                </p>
              )}
            </div>
          </section>
        )}
      </main>
    </div>
  );
}

function Fact({ icon: Icon, name, children }: { icon: LucideIcon; name: string; children: ReactNode }) {
  return (
    <div className="relative pl-8">
      <dt className="text-[13px] text-soft">
        <Icon aria-hidden="true" strokeWidth={1.5} className="absolute top-0.5 left-0 size-5 text-tint" />
        {name}
      </dt>
      <dd className="text-[15px] font-medium">{children}</dd>
    </div>
  );
}

function PreviewBar({ clientName, clientId }: { clientName: string | null; clientId: string | null }) {
  return (
    <aside
      aria-label="Preview"
      className="flex flex-wrap items-center gap-x-4 border-b border-line bg-side px-4 py-1 text-[13px] md:px-6"
    >
      <Link
        to={clientId === null ? '/clients' : `/clients/${encodeURIComponent(clientId)}`}
        className="-ml-1 inline-flex h-10 items-center gap-0.5 rounded-lg pr-2 text-[15px] text-tint hover:bg-hover"
      >
        <ChevronLeft aria-hidden="true" className="size-5" />
        <span dir="auto">{clientName ?? 'Clients'}</span>
      </Link>
      <p className="py-1.5 text-soft">
        {clientId === null
          ? 'Preview. This trip is for nobody yet.'
          : 'Preview. Through the share link, your client also finds the chat here.'}
      </p>
    </aside>
  );
}
