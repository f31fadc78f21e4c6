// The conversation with a client, in a sheet that slides in from the right; on phones it fills the screen.
import * as Dialog from '@radix-ui/react-dialog';
import { useQuery } from '@tanstack/react-query';
import { X } from 'lucide-react';
import { ChatThread } from 'travelchat-web/react';
import type { ClientRow } from '../api';
import { Avatar } from './avatar';
import { useDashboard, useShownThread } from './dashboard_context';
import { FailedQuery } from './failed_query';
import { Spinner } from './whole_page';

interface MessageSheetProps {
  client: ClientRow;
  isOpen: boolean;
  onClose: () => void;
  returnFocusTo: { readonly current: HTMLElement | null };
}

export function MessageSheet({ client, isOpen, onClose, returnFocusTo }: MessageSheetProps) {
  return (
    <Dialog.Root open={isOpen} onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay
          className="fixed inset-0 z-40 bg-black/25 data-[state=closed]:animate-fadeOut data-[state=open]:animate-fadeIn
            dark:bg-black/60"
        />
        <Dialog.Content
          aria-describedby={undefined}
          onCloseAutoFocus={(event) => {
            // Safari does not focus a button that is clicked, so the dialog does not know where it came from.
            event.preventDefault();
            returnFocusTo.current?.focus();
          }}
          className="fixed top-0 right-0 z-50 flex h-view w-full flex-col bg-ground
            shadow-[-12px_0_48px_rgb(0_0_0/0.16)] outline-none data-[state=closed]:animate-sheetOut
            data-[state=open]:animate-sheetIn sm:w-[480px] sm:border-l sm:border-line"
        >
          <header
            className="flex min-h-16 shrink-0 items-center gap-3 border-b border-line bg-side px-4
              pt-[max(0.5rem,env(safe-area-inset-top))] pb-2"
          >
            <Avatar url={client.avatarUrl} size={40} />
            <Dialog.Title dir="auto" className="min-w-0 flex-1 truncate text-[17px] font-semibold tracking-tight">
              {client.fullName}
            </Dialog.Title>
            <Dialog.Close
              aria-label="Close"
              className="-mr-1.5 grid size-10 place-items-center rounded-full text-soft hover:bg-hover hover:text-ink"
            >
              <X aria-hidden="true" strokeWidth={1.75} className="size-5" />
            </Dialog.Close>
          </header>
          <div className="min-h-0 flex-1">
            <SheetThread client={client} />
          </div>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

/** Gets or makes the client's conversation, then shows it. */
function SheetThread({ client: { id, fullName, avatarUrl } }: { client: ClientRow }) {
  const { client } = useDashboard();
  // Asked anew each time the sheet opens.
  const conversation = useQuery({
    queryKey: ['conversation-with', id],
    queryFn: () => client.openConversation(id),
    gcTime: 0,
    staleTime: Infinity,
  });
  if (conversation.isPending) return <Spinner label="Opening the conversation" />;
  if (conversation.isError) return <FailedQuery title="The conversation could not be opened" query={conversation} />;
  return <OpenThread conversationId={conversation.data.id} name={fullName} avatarUrl={avatarUrl} />;
}

function OpenThread({ conversationId, name, avatarUrl }: { conversationId: string; name: string; avatarUrl: string }) {
  const thread = useShownThread(conversationId);
  return (
    <ChatThread
      thread={thread}
      otherName={name}
      otherAvatarUrl={avatarUrl}
      autoFocus
      emptyText={`Say hello to ${name}.`}
    />
  );
}
