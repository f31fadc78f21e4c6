// The part of React that the components use, on Preact: widget.js is built with this in place of `react`, `react-dom`
// and `react-dom/client` (aliases.ts). `preact/compat` is four times as large. Differences of Preact are adapted only
// where the components rely on React's behaviour; attributes have their HTML names.
import { createElement, options, render, type ComponentChild, type ContainerNode, type VNode } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';

export { createContext } from 'preact';
export {
  useCallback,
  useContext,
  useEffect,
  useId,
  useImperativeHandle,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'preact/hooks';

type Props = Record<string, unknown>;

// React's focus events bubble, and its change event comes with each keystroke.
const EVENTS: Props = { onFocus: 'onFocusIn', onBlur: 'onFocusOut', onChange: 'onInput' };

options.vnode = ({ type, props }: VNode<Props>) => {
  if (typeof type !== 'string') return;
  for (const name in EVENTS) {
    if (!(name in props)) continue;
    props[EVENTS[name] as string] = props[name];
    delete props[name];
  }
};

options.event = (event) => Object.assign(event, { nativeEvent: event });

interface MemoInstance {
  readonly props: Props;
  shouldComponentUpdate: (this: MemoInstance, next: Props) => boolean;
}

/** Not rendered again for the same props. */
export function memo(component: (props: Props) => ComponentChild) {
  return function Memo(this: MemoInstance, props: Props) {
    this.shouldComponentUpdate = hasOtherProps;
    return createElement(component, props);
  };
}

function hasOtherProps(this: MemoInstance, next: Props): boolean {
  const names = Object.keys(next);
  return names.length !== Object.keys(this.props).length || names.some((name) => next[name] !== this.props[name]);
}

export function useSyncExternalStore<T>(subscribe: (onChange: () => void) => () => void, getSnapshot: () => T): T {
  const value = getSnapshot();
  const shown = useRef({ value, getSnapshot });
  const [, render] = useState({});
  const check = () => {
    if (!Object.is(shown.current.value, shown.current.getSnapshot())) render({});
  };
  useLayoutEffect(() => {
    shown.current = { value, getSnapshot };
    check();
  }, [subscribe, value, getSnapshot]);
  useEffect(() => {
    check();
    return subscribe(check);
  }, [subscribe]);
  return value;
}

/** What `change` sets is in the document when this returns. */
export function flushSync(change: () => void): void {
  const before = options.debounceRendering;
  let flush: (() => void) | undefined;
  options.debounceRendering = (rerender) => {
    flush = rerender;
  };
  try {
    change();
    flush?.();
  } finally {
    options.debounceRendering = before;
  }
}

export function createRoot(container: ContainerNode) {
  return {
    render: (node: ComponentChild) => render(node, container),
    unmount: () => render(null, container),
  };
}
