import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { RouterProvider } from 'react-router';
import './app.css';
import { isInView } from './parts/shown_conversations';
import { answerWorker } from './push';
import { createRouter } from './routes';
import { createQueryClient } from './session';

const queries = createQueryClient();
const router = createRouter();
answerWorker({ isInView, open: (page) => void router.navigate(page) });

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
