// The client's chat on the trip page, loaded after the page itself.
import { ChatProvider, ClientChatWidget, type ClientChatWidgetProps } from 'travelchat-web/react';
import 'travelchat-web/styles.css';
import { locale } from './locale';

export default function ClientChat(props: ClientChatWidgetProps) {
  return (
    <ChatProvider locale={locale}>
      <ClientChatWidget {...props} />
    </ChatProvider>
  );
}
