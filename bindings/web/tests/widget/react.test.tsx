// What the components rely on, on React and on what stands in for it in widget.js (src/widget/react.ts).
import { readdirSync, readFileSync } from 'node:fs';
import { act, memo, useLayoutEffect, useState, useSyncExternalStore, type FocusEvent } from 'react';
import { flushSync } from 'react-dom';
import { createRoot, type Root } from 'react-dom/client';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

let box: HTMLElement;
let root: Root;
beforeEach(() => {
  box = document.createElement('div');
  document.body.append(box);
  root = createRoot(box);
});
afterEach(() => {
  act(() => root.unmount());
  box.remove();
});

const show = (node: React.ReactNode) => act(() => root.render(node));

describe('events', () => {
  test('focus and blur bubble, with the element that has the other one', () => {
    const heard: unknown[] = [];
    const note = (type: string) => (event: FocusEvent<HTMLElement>) =>
      heard.push([type, event.target, event.currentTarget, event.relatedTarget]);
    show(
      <div onFocus={note('focus')} onBlur={note('blur')}>
        <button />
        <button />
      </div>,
    );
    const frame = box.firstElementChild!;
    const [first, second] = box.querySelectorAll('button');
    act(() => first!.focus());
    act(() => second!.focus());
    expect(heard).toEqual([
      ['focus', first, frame, null],
      ['blur', first, frame, second],
      ['focus', second, frame, first],
    ]);
  });

  test('a textarea tells of each change, and takes another text', () => {
    const heard: string[] = [];
    function Input() {
      const [text, setText] = useState('');
      const onChange = (value: string) => {
        heard.push(value);
        setText(value.toUpperCase());
      };
      return <textarea value={text} onChange={(event) => onChange(event.currentTarget.value)} />;
    }
    show(<Input />);
    const input = box.querySelector('textarea')!;
    for (const text of ['a', 'Ab']) {
      act(() => {
        Object.getOwnPropertyDescriptor(HTMLTextAreaElement.prototype, 'value')!.set!.call(input, text);
        input.dispatchEvent(new InputEvent('input', { bubbles: true }));
      });
    }
    expect(heard).toEqual(['a', 'Ab']);
    expect(input.value).toBe('AB');
  });

  test("the browser's own event is at hand", () => {
    const heard: boolean[] = [];
    show(<div onKeyDown={(event) => heard.push(event.nativeEvent.isComposing)} />);
    act(() => {
      box.firstElementChild!.dispatchEvent(new KeyboardEvent('keydown', { bubbles: true, isComposing: true }));
    });
    expect(heard).toEqual([true]);
  });
});

describe('memo', () => {
  test('renders again for other props only', () => {
    let renders = 0;
    const Row = memo(function Row({ name, mark }: { name: string; mark?: string }) {
      ++renders;
      return <p>{name + (mark ?? '')}</p>;
    });
    show(<Row name="Ann" />);
    show(<Row name="Ann" />);
    expect(renders).toBe(1);
    show(<Row name="Ann" mark="!" />);
    expect(box.textContent).toBe('Ann!');
    show(<Row name="Bea" mark="!" />);
    expect(box.textContent).toBe('Bea!');
    show(<Row name="Bea" />);
    expect(box.textContent).toBe('Bea');
    expect(renders).toBe(4);
  });

  test('leaves the state of what it holds alone', () => {
    const Counter = memo(function Counter() {
      const [count, setCount] = useState(0);
      return <button onClick={() => setCount(count + 1)}>{count}</button>;
    });
    show(<Counter />);
    act(() => box.querySelector('button')!.click());
    show(<Counter />);
    expect(box.textContent).toBe('1');
  });
});

describe('a store', () => {
  function storeOf(first: number) {
    let value = first;
    const listeners = new Set<() => void>();
    return {
      listeners,
      snapshot: () => value,
      set: (next: number) => {
        value = next;
        for (const listener of listeners) listener();
      },
      subscribe: (listener: () => void) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
      },
    };
  }
  type Store = ReturnType<typeof storeOf>;

  let renders = 0;
  function Shown({ store }: { store: Store }) {
    ++renders;
    return <p>{useSyncExternalStore(store.subscribe, store.snapshot)}</p>;
  }

  test('is rendered after each change, and only then', () => {
    const store = storeOf(1);
    show(<Shown store={store} />);
    expect(box.textContent).toBe('1');
    act(() => store.set(2));
    expect(box.textContent).toBe('2');
    renders = 0;
    act(() => store.set(2));
    expect(renders).toBe(0);
  });

  test('that changed before it was subscribed to is rendered', () => {
    const store = storeOf(1);
    function Changes() {
      useLayoutEffect(() => store.set(2), []);
      return null;
    }
    show([<Shown key="shown" store={store} />, <Changes key="changes" />]);
    expect(box.textContent).toBe('2');
  });

  test('makes place for another one', () => {
    const [first, second] = [storeOf(1), storeOf(10)];
    show(<Shown store={first} />);
    show(<Shown store={second} />);
    expect(box.textContent).toBe('10');
    expect(first.listeners.size).toBe(0);
    act(() => second.set(11));
    expect(box.textContent).toBe('11');
    show(null);
    expect(second.listeners.size).toBe(0);
  });
});

test('flushSync: the change is in the document when it returns', () => {
  let set = (_: string) => {};
  function Text() {
    const [text, setText] = useState('before');
    set = setText;
    return text;
  }
  show(<Text />);
  vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', false);
  flushSync(() => set('after'));
  vi.unstubAllGlobals();
  expect(box.textContent).toBe('after');
});

// What preact/compat would translate and src/widget/react.ts does not: attributes and events that Preact would not find.
test('no component has a name that React alone understands', () => {
  const components = readdirSync('src/react').filter((name) => name.endsWith('.tsx') && name !== 'conversation_list.tsx');
  expect(components).toContain('composer.tsx');
  const names =
    /\s(?:on(?:DoubleClick|(?:Animation|Transition|Touch|Composition|BeforeInput)\w*|(?:Focus|Blur|Change)Capture)|default(?:Value|Checked)|(?:accent|alignment|baseline|clip|color|dominant|fill|flood|font|image|letter|lighting|marker|paint|pointer|shape|stop|stroke|text|transform|vector|word|writing)[A-Z]\w*|download|translate)(?==[{"])/g;
  for (const name of components) {
    expect([name, readFileSync(`src/react/${name}`, 'utf8').match(names)]).toEqual([name, null]);
  }
});
