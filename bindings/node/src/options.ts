// Options are checked when they are given. A misspelt name, or a function that is missing, would otherwise silently mean
// something else: a check that is left out, a limit that is off.

/** @internal Throws a TypeError that says what `name` must be. `from`: the object that it is a property of. */
export type Check = (value: unknown, name: string, from: object) => void;

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'function') return `a function of ${value.length} parameters`;
  if (typeof value === 'string') return value.length > 60 ? 'a string' : JSON.stringify(value);
  return typeof value === 'object' ? 'an object' : String(value);
}

/** @internal Describes the value that was given. A text is not shown: it may be a secret in the wrong place. */
export function kindOf(value: unknown): string {
  return typeof value === 'string' ? 'a string' : describe(value);
}

/** @internal */
export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @internal Throws a TypeError unless it is an object; `usage` shows where it belongs: "send(sender, draft)". */
export function requireObject(value: unknown, name: string, usage: string): void {
  if (isObject(value)) return;
  throw new TypeError(
    value === undefined ? `${name} is missing: ${usage}` : `${name} must be an object, not ${kindOf(value)}: ${usage}`,
  );
}

/** @internal */
export function mustBe(isRight: boolean, value: unknown, name: string, expected: string): void {
  if (!isRight) throw new TypeError(`${name} must be ${expected}, not ${describe(value)}`);
}

/**
 * @internal Throws a TypeError unless `given` is an object whose properties pass `checks`. Others may be there only where it
 * has a class, whose own business they are.
 */
export function check<T extends object>(given: T, name: string, checks: Record<keyof T, Check>): void {
  mustBe(isObject(given), given, name, 'an object');
  refuseUnknown(given, name, checks);
  for (const key of Object.keys(checks) as (keyof T & string)[]) checks[key](given[key], `${name}.${key}`, given);
}

/**
 * @internal Throws a TypeError unless each property of `given` is one of `known`, too. One that has a class may have others,
 * which are its own business. `misplaced`: names that belong elsewhere, and what the error says about each.
 */
export function refuseUnknown(given: object, name: string, known: object, misplaced: Record<string, string> = {}): void {
  const kind: unknown = Object.getPrototypeOf(given);
  if (kind !== Object.prototype && kind !== null) return;
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(known, key)) continue;
    throw new TypeError(`${name} has no option "${key}"${Object.hasOwn(misplaced, key) ? `: ${misplaced[key]}` : ''}`);
  }
}

/**
 * @internal Throws a TypeError where one of `keys` is there and is null or undefined. For options that permit more when they
 * are left out than any value would: a value that an application failed to find must not count as left out.
 */
export function refuseNullish(given: object, name: string, ...keys: string[]): void {
  for (const key of keys) {
    const value = (given as Record<string, unknown>)[key];
    const isNothing = value === undefined || value === null;
    if (isNothing && key in given) throw new TypeError(`${name}.${key} must have a value, or be left out, and is ${value}`);
  }
}

/** @internal Left out, or undefined, or as `required` says. */
export function optional(required: Check): Check {
  return (value, name, from) => {
    if (value !== undefined) required(value, name, from);
  };
}

/** @internal */
export const anyFunction: Check = (value, name) => mustBe(typeof value === 'function', value, name, 'a function');

/** @internal */
export const boolean: Check = (value, name) => mustBe(typeof value === 'boolean', value, name, 'a boolean');

/** @internal */
export const whole = (least: number, most = Number.MAX_SAFE_INTEGER): Check => {
  const upTo = most === Number.MAX_SAFE_INTEGER ? 'on' : `to ${most}`;
  return (value, name) =>
    mustBe(Number.isInteger(value) && (value as number) >= least && (value as number) <= most, value, name,
      `a whole number from ${least} ${upTo}`);
};

/** @internal Ten years; a time-out or a lifetime beyond it is a mistake in units. */
export const longestMs = 10 * 366 * 24 * 3600 * 1000;

/** @internal Milliseconds. */
export const milliseconds = (least = 0): Check => whole(least, longestMs);

/** @internal */
export function strings(isOne: (text: string) => boolean, expected: string): Check {
  return (value, name) => {
    mustBe(Array.isArray(value), value, name, 'an array of strings');
    for (const [index, one] of (value as unknown[]).entries()) {
      mustBe(typeof one === 'string' && isOne(one), one, `${name}[${index}]`, expected);
    }
  };
}
