// What the advisors' pages share: who is signed in, and the one chat client.
import { createContext, use } from 'react';
import type { ChatClient, Thread } from 'travelchat-web';
import { useThread } from 'travelchat-web/react';
import type { Account } from '../api';
import { useShown } from './shown_conversations';

export interface DeskValue {
  readonly account: Account;
  readonly client: ChatClient;
}

export const DeskContext = createContext<DeskValue | null>(null);

export function useDesk(): DeskValue {
  const desk = use(DeskContext);
  if (desk === null) throw new Error('useDesk is for pages inside the desk');
  return desk;
}

/** The thread of a conversation that is shown as long as the component is mounted. */
export function useShownThread(conversationId: string): Thread {
  const { client } = useDesk();
  useShown(conversationId);
  return useThread(client, conversationId);
}
