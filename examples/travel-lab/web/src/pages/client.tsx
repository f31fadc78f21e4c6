// One client: who it is, the trips with their share links, and the conversation in a sheet.
import { useQuery } from '@tanstack/react-query';
import { Check, ChevronLeft, Copy, MessageCircle } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { Link, useLocation, useNavigate, useParams } from 'react-router';
import { api, ApiError, type ClientDetail, type SharedTrip } from '../api';
import { dateRange } from '../dates';
import { Avatar } from '../parts/avatar';
import { FailedQuery } from '../parts/failed_query';
import { locale } from '../parts/locale';
import { MessageSheet } from '../parts/message_sheet';
import { useTitle } from '../parts/title';
import { Spinner } from '../parts/whole_page';

export function ClientPage() {
  const { id = '' } = useParams();
  const client = useQuery({ queryKey: ['clients', id], queryFn: (context) => api.client(id, context) });
  const isUnknown = client.error instanceof ApiError && client.error.status === 404;
  return (
    <main className="h-full overflow-y-auto bg-ground">
      <div className="mx-auto max-w-3xl px-4 pt-[max(0.5rem,env(safe-area-inset-top))] pb-10 md:px-8 md:pt-6">
        <Link
          to="/clients"
          className="-ml-2 inline-flex h-11 items-center gap-0.5 rounded-lg pr-3 pl-1 text-tint hover:bg-hover"
        >
          <ChevronLeft aria-hidden="true" className="size-5" />
          Clients
        </Link>
        {client.isPending ? (
          <Spinner />
        ) : isUnknown ? (
          <UnknownClient />
        ) : client.isError ? (
          <FailedQuery title="The client could not be loaded" query={client} />
        ) : (
          <Details key={client.data.id} client={client.data} />
        )}
      </div>
    </main>
  );
}

function UnknownClient() {
  useTitle('No such client');
  return (
    <div role="alert" className="py-14 text-center">
      <h1 className="text-[17px] font-semibold tracking-tight">There is no such client</h1>
      <p className="mt-1 text-[15px] text-soft">The link may be incomplete, or the client belongs to another agency.</p>
    </div>
  );
}

function Details({ client }: { client: ClientDetail }) {
  useTitle(client.fullName);
  const navigate = useNavigate();
  const { state } = useLocation();
  const messageButton = useRef<HTMLButtonElement>(null);
  // An entry of the history: on a phone the sheet is a page, and "back" closes it.
  const isSheetOpen = (state as { hasSheet?: boolean } | null)?.hasSheet === true;
  return (
    <>
      <header className="mt-3 flex flex-wrap items-center gap-x-5 gap-y-4">
        <Avatar url={client.avatarUrl} size={84} />
        <div className="min-w-0 flex-1 basis-56">
          <h1 dir="auto" className="text-[28px] leading-tight font-bold tracking-tight text-balance">
            {client.fullName}
          </h1>
          {client.email !== null && (
            <a
              href={`mailto:${client.email}`}
              className="mt-1 inline-block max-w-full truncate text-[15px] text-tint hover:underline"
            >
              {client.email}
            </a>
          )}
        </div>
        <button
          ref={messageButton}
          type="button"
          aria-haspopup="dialog"
          onClick={() => void navigate('.', { state: { hasSheet: true } })}
          className="flex items-center gap-2 rounded-full bg-button px-5 py-2 text-[15px] font-semibold text-white
            hover:bg-button-hover max-sm:w-full max-sm:justify-center max-sm:py-2.5"
        >
          <MessageCircle aria-hidden="true" strokeWidth={2} className="size-[18px]" />
          Message
        </button>
      </header>
      <section aria-labelledby="trips" className="mt-9">
        <h2 id="trips" className="text-xl font-semibold tracking-tight">
          Trips
        </h2>
        {client.trips.length === 0 ? (
          <p className="mt-2 text-[15px] text-soft">Nothing planned yet.</p>
        ) : (
          <ul className="mt-3 space-y-3">
            {client.trips.map((trip) => (
              <li key={trip.id}>
                <TripCard trip={trip} />
              </li>
            ))}
          </ul>
        )}
      </section>
      <MessageSheet
        client={client}
        isOpen={isSheetOpen}
        onClose={() => void navigate(-1)}
        returnFocusTo={messageButton}
      />
    </>
  );
}

function TripCard({ trip }: { trip: SharedTrip }) {
  return (
    <article className="rounded-2xl border border-line p-4 sm:p-5">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <h3 dir="auto" className="text-[17px] font-semibold tracking-tight">
          {trip.title}
        </h3>
        <p className="text-[13px] text-soft">{dateRange(trip.startsOn, trip.endsOn, locale)}</p>
      </div>
      <p dir="auto" className="mt-1 text-[15px] leading-relaxed text-soft">
        {trip.destination}. {trip.summary}
      </p>
      <div className="mt-3.5 flex flex-wrap items-center gap-x-2 gap-y-2 text-[15px]">
        {trip.shareEnabled ? (
          <CopyLink trip={trip} />
        ) : (
          <span className="mr-2 text-[13px] text-soft">Not shared with the client</span>
        )}
        <Link
          to={`/trip/${encodeURIComponent(trip.id)}`}
          aria-label={`Preview ${trip.title}`}
          className="rounded-full px-4 py-1.5 font-medium text-tint hover:bg-hover"
        >
          Preview
        </Link>
      </div>
    </article>
  );
}

const confirmation_ms = 2_500;

function CopyLink({ trip }: { trip: SharedTrip }) {
  const [outcome, setOutcome] = useState<'copied' | 'failed' | null>(null);
  const link = new URL(
    `/trip/${encodeURIComponent(trip.id)}?token=${encodeURIComponent(trip.shareToken)}`,
    window.location.origin,
  ).href;
  useEffect(() => {
    if (outcome !== 'copied') return;
    const timer = setTimeout(() => setOutcome(null), confirmation_ms);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(link);
      setOutcome('copied');
    } catch {
      // There is no clipboard on plain http, or the browser refused: the link can still be taken by hand.
      setOutcome('failed');
    }
  };
  const Icon = outcome === 'copied' ? Check : Copy;
  return (
    <>
      <button
        type="button"
        aria-label={`Copy the share link of ${trip.title}`}
        onClick={() => void copy()}
        className="flex items-center gap-2 rounded-full bg-hover px-4 py-1.5 font-medium hover:bg-line"
      >
        <Icon aria-hidden="true" strokeWidth={1.75} className={`size-4 ${outcome === 'copied' ? 'text-good' : ''}`} />
        {outcome === 'copied' ? 'Copied' : 'Copy share link'}
      </button>
      <span role="status" className="sr-only">
        {outcome === 'copied' && 'The link is copied.'}
      </span>
      {outcome === 'failed' && (
        <label className="order-last w-full text-[13px] text-soft">
          The link, to copy by hand:
          <input
            readOnly
            autoFocus
            value={link}
            onFocus={(event) => event.currentTarget.select()}
            className="mt-1 block w-full rounded-lg border border-line bg-raised px-3 py-1.5 text-base text-ink"
          />
        </label>
      )}
    </>
  );
}
