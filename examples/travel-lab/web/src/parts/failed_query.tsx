// A part of a page that could not be loaded, and another try.
interface FailedQueryProps {
  title: string;
  query: { readonly error: Error | null; readonly isFetching: boolean; refetch(): unknown };
}

export function FailedQuery({ title, query }: FailedQueryProps) {
  return (
    <div role="alert" className="py-14 text-center">
      <p className="text-[17px] font-semibold tracking-tight">{title}</p>
      <p className="mt-1 text-[15px] text-soft">{query.error?.message}</p>
      <button
        type="button"
        disabled={query.isFetching}
        onClick={() => void query.refetch()}
        className="mt-5 rounded-full bg-button px-5 py-2 text-[15px] font-medium text-white hover:bg-button-hover
          disabled:opacity-60"
      >
        Try again
      </button>
    </div>
  );
}
