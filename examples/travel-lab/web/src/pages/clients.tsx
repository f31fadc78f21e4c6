// All clients of the agency, by name.
import { useQuery } from '@tanstack/react-query';
import { ChevronRight, Search } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'react-router';
import { api, type ClientRow } from '../api';
import { Avatar } from '../parts/avatar';
import { FailedQuery } from '../parts/failed_query';
import { locale } from '../parts/locale';
import { useTitle } from '../parts/title';
import { Spinner } from '../parts/whole_page';

export function ClientsPage() {
  useTitle('Clients');
  const clients = useQuery({ queryKey: ['clients'], queryFn: api.clients });
  const [query, setQuery] = useState('');
  return (
    <main className="h-full overflow-y-auto bg-ground">
      <div className="mx-auto max-w-3xl px-4 pt-[max(1rem,env(safe-area-inset-top))] pb-10 md:px-8 md:pt-8">
        <h1 className="text-[28px] font-bold tracking-tight">Clients</h1>
        <div className="relative mt-3">
          <Search aria-hidden="true" className="absolute top-1/2 left-3 size-4 -translate-y-1/2 text-soft" />
          <input
            type="search"
            aria-label="Search"
            placeholder="Name, e-mail or trip"
            autoComplete="off"
            spellCheck={false}
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            className="w-full rounded-[10px] bg-field py-2 pr-3 pl-9 text-base outline-offset-0 placeholder:text-soft"
          />
        </div>
        {clients.isPending ? (
          <Spinner />
        ) : clients.isError ? (
          <FailedQuery title="The clients could not be loaded" query={clients} />
        ) : (
          <ClientRows clients={clients.data} query={query} />
        )}
      </div>
    </main>
  );
}

function matches({ fullName, email, activeTrip }: ClientRow, needle: string): boolean {
  return [fullName, email, activeTrip?.title].some((text) => text?.toLocaleLowerCase(locale).includes(needle));
}

function ClientRows({ clients, query }: { clients: readonly ClientRow[]; query: string }) {
  const needle = query.trim().toLocaleLowerCase(locale);
  const found = needle === '' ? clients : clients.filter((client) => matches(client, needle));
  return (
    <>
      <p role="status" className="mt-3 px-1 text-[13px] text-soft">
        {found.length === 0
          ? needle === ''
            ? 'There are no clients yet.'
            : `No client matches “${query.trim()}”.`
          : `${found.length} ${found.length === 1 ? 'client' : 'clients'}`}
      </p>
      {found.length > 0 && (
        <ul className="mt-2 divide-y divide-line overflow-hidden rounded-2xl border border-line">
          {found.map((client) => (
            <li key={client.id} className="[contain-intrinsic-size:auto_68px] [content-visibility:auto]">
              <Link
                to={`/clients/${encodeURIComponent(client.id)}`}
                className="flex items-center gap-3.5 px-4 py-3 -outline-offset-2 hover:bg-hover"
              >
                <Avatar url={client.avatarUrl} size={44} />
                <span className="min-w-0 flex-1 leading-snug">
                  <span dir="auto" className="block truncate font-medium">
                    {client.fullName}
                  </span>
                  <span dir="auto" className="block truncate text-[13px] text-soft">
                    {client.activeTrip?.title ?? 'No trip at the moment'}
                  </span>
                </span>
                <ChevronRight aria-hidden="true" className="size-4 shrink-0 text-soft" />
              </Link>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
