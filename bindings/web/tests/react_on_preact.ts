// Stands in for `react` in the tests on Preact: what widget.js has, and what only tests need.
export * from '../src/widget/react';
export { Fragment as StrictMode } from 'preact';
export { act } from 'preact/test-utils';
