// A person's portrait. Decoration: the name stands beside it.
export function Avatar({ url, size }: { url: string | null; size: number }) {
  return (
    <span
      aria-hidden="true"
      className="block shrink-0 overflow-hidden rounded-full bg-hover"
      style={{ width: size, height: size }}
    >
      {url !== null && <img src={url} alt="" width={size} height={size} className="size-full object-cover" />}
    </span>
  );
}
