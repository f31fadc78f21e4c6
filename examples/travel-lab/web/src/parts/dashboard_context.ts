// What the advisors' pages share: who is signed in, and the one chat client.
import { createContext, use } from 'react';
import type { ChatClient, Thread } from 'travelchat-web';
import { useThread } from 'travelchat-web/react';
import type { Account } from '../api';
import { useShown } from './shown_conversations';

export interface DashboardValue {
  readonly account: Account;
  readonly client: ChatClient;
}

export const DashboardContext = createContext<DashboardValue | null>(null);

export function useDashboard(): DashboardValue {
  const dashboard = use(DashboardContext);
  if (dashboard === null) throw new Error('useDashboard is for pages inside the dashboard');
  return dashboard;
}

/** The thread of a conversation that is shown as long as the component is mounted. */
export function useShownThread(conversationId: string): Thread {
  const { client } = useDashboard();
  useShown(conversationId);
  return useThread(client, conversationId);
}
