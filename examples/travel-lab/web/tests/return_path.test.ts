import { describe, expect, test, vi } from 'vitest';
import { home, loginPath, returnPath } from '../src/return_path';

describe('after signing in', () => {
  test.each(['/clients', '/clients/abc?x=1', '/dashboard/messages?id=7', '/trip/9#map'])(
    '%s is opened again',
    (path) => {
      expect(returnPath(path)).toBe(path);
    },
  );

  test.each([
    null,
    '',
    'clients',
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example/',
    '/\t/evil.example/',
    '/..//evil.example/',
    '/./\\evil.example',
    'javascript:alert(1)',
    '//',
    '/',
    '/login?next=/clients',
  ])('%j leads to the start page', (next) => {
    expect(returnPath(next)).toBe(home);
  });

  test('also Safari before 17, which has no URL.canParse, finds the page', () => {
    const canParse = vi.spyOn(URL, 'canParse').mockImplementation(() => {
      throw new TypeError('URL.canParse is not a function');
    });
    expect(returnPath('/clients')).toBe('/clients');
    expect(returnPath('/\\evil.example/')).toBe(home);
    canParse.mockRestore();
  });

  test('the way there and back keeps the page and its query', () => {
    const path = loginPath({ pathname: '/clients/a b', search: '?q=%26&r=1' });
    expect(returnPath(new URL(path, 'https://lab.example').searchParams.get('next'))).toBe('/clients/a%20b?q=%26&r=1');
  });

  test('the start page needs no mention', () => {
    expect(loginPath({ pathname: '/', search: '' })).toBe('/login');
    expect(loginPath({ pathname: home, search: '' })).toBe('/login');
    expect(loginPath({ pathname: home, search: '?id=7' })).toBe('/login?next=%2Fdashboard%2Fmessages%3Fid%3D7');
  });
});
