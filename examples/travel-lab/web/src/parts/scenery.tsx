// A landscape for a trip without a photograph: sky, sun and ridges, always the same for the same trip.
import { useId, useMemo } from 'react';

interface Palette {
  readonly sky: readonly [top: string, middle: string, bottom: string];
  readonly sun: string;
  /** From the farthest ridge to the nearest. */
  readonly ridges: readonly [string, string, string, string];
}

const palettes: readonly Palette[] = [
  {
    sky: ['#2c3e73', '#c9687a', '#f7c59f'],
    sun: '#fff1d6',
    ridges: ['#a7657f', '#7b4a72', '#4d3560', '#271f42'],
  },
  {
    sky: ['#2877b8', '#79b8dd', '#e3f1ee'],
    sun: '#ffffff',
    ridges: ['#8fb7c4', '#5f94a4', '#386f7d', '#1b4a56'],
  },
  {
    sky: ['#3a4f8f', '#e08d5b', '#ffe0a3'],
    sun: '#fff6cf',
    ridges: ['#c77f5c', '#9a5a4c', '#66403f', '#38272f'],
  },
  {
    sky: ['#1d6a74', '#6fb7a0', '#f0eccb'],
    sun: '#fffbe3',
    ridges: ['#84b39a', '#4f8d7a', '#2b675d', '#123f40'],
  },
  {
    sky: ['#232a5c', '#6d6aa8', '#e6c4cf'],
    sun: '#fdf4ff',
    ridges: ['#8f83b3', '#655f94', '#423f70', '#22234a'],
  },
];

const width = 1200;
const height = 480;

/** Numbers in [0, 1) that depend on `text` alone (FNV-1a, then xorshift32). */
function numbersOf(text: string): () => number {
  let state = 2_166_136_261;
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 16_777_619);
  state = state >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

interface Scene {
  readonly palette: Palette;
  readonly sun: { readonly x: number; readonly y: number };
  readonly ridges: readonly string[];
}

function composeScene(seed: string): Scene {
  const next = numbersOf(seed);
  // The first numbers after a short seed are alike.
  for (let i = 0; i < 8; i++) next();
  const palette = palettes[Math.floor(next() * palettes.length)]!;
  // Phones show the middle third alone.
  const sun = { x: width * (0.46 + 0.14 * next()), y: height * (0.3 + 0.14 * next()) };
  const ridges = palette.ridges.map((_, layer) => {
    const base = height * (0.56 + 0.12 * layer);
    const waves = [1, 2.3, 5.1, 11.7].map((frequency, i) => ({
      frequency: frequency * (0.75 + 0.5 * next()),
      phase: next() * 2 * Math.PI,
      size: (height * (0.1 - 0.012 * layer)) / 2 ** i,
    }));
    let path = `M0 ${height}`;
    for (let x = 0; x <= width; x += 15) {
      const lift = waves.reduce(
        (sum, { frequency, phase, size }) => sum + size * Math.sin((x / width) * 2 * Math.PI * frequency + phase),
        0,
      );
      path += `L${x} ${Math.round(base - lift)}`;
    }
    return `${path}L${width} ${height}Z`;
  });
  return { palette, sun, ridges };
}

export function Scenery({ seed, className }: { seed: string; className: string }) {
  const id = useId();
  const { palette, sun, ridges } = useMemo(() => composeScene(seed), [seed]);
  return (
    <svg
      aria-hidden="true"
      viewBox={`0 0 ${width} ${height}`}
      preserveAspectRatio="xMidYMid slice"
      className={className}
    >
      <defs>
        <linearGradient id={`${id}sky`} x2="0" y2="1">
          <stop offset="0" stopColor={palette.sky[0]} />
          <stop offset=".45" stopColor={palette.sky[1]} />
          <stop offset=".75" stopColor={palette.sky[2]} />
        </linearGradient>
        <radialGradient id={`${id}glow`}>
          <stop offset="0" stopColor={palette.sun} stopOpacity=".8" />
          <stop offset="1" stopColor={palette.sun} stopOpacity="0" />
        </radialGradient>
      </defs>
      <rect width={width} height={height} fill={`url(#${id}sky)`} />
      <circle cx={sun.x} cy={sun.y} r="190" fill={`url(#${id}glow)`} />
      <circle cx={sun.x} cy={sun.y} r="34" fill={palette.sun} />
      {ridges.map((path, layer) => (
        <path key={layer} d={path} fill={palette.ridges[layer]} />
      ))}
    </svg>
  );
}
