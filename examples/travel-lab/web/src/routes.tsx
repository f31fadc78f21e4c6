// The pages by their paths, each loaded when it is first opened: the trip page, which clients open on phones, brings
// nothing of the advisors' pages along.
import { createBrowserRouter, Navigate, Outlet } from 'react-router';
import { client, clients, messages } from './dashboard_pages';
import { NotFound, PageFailure, Splash } from './parts/whole_page';
import { home } from './return_path';

const dashboard = async () => ({ Component: (await import('./pages/dashboard')).Dashboard });
const login = async () => ({ Component: (await import('./pages/login')).LoginPage });
const trip = async () => ({ Component: (await import('./pages/trip')).TripPage });

export function createRouter() {
  return createBrowserRouter([
    {
      element: <Outlet />,
      errorElement: <PageFailure />,
      hydrateFallbackElement: <Splash />,
      children: [
        { path: '/', element: <Navigate to={home} replace /> },
        { path: '/login', lazy: login },
        { path: '/trip/:id', lazy: trip },
        {
          lazy: dashboard,
          children: [
            {
              // A page that fails leaves the navigation standing.
              errorElement: <PageFailure />,
              children: [
                { path: '/dashboard', element: <Navigate to={home} replace /> },
                { path: '/dashboard/messages', lazy: messages },
                { path: '/clients', lazy: clients },
                { path: '/clients/:id', lazy: client },
              ],
            },
          ],
        },
        { path: '*', element: <NotFound /> },
      ],
    },
  ]);
}
