// travelchat-web/react: hooks and components on the core. Styles: travelchat-web/styles.css.
import './styles.css';

export { ChatProvider, useChatText, type ChatProviderProps, type ChatText } from './context';
export { languages, stringsFor, type ChatStrings } from './strings';
export { useInbox, useStore, useThread } from './hooks';
export { ChatThread, type ChatThreadProps } from './chat_thread';
export { MessageBubble, type MessageBubbleProps } from './message_bubble';
export { ReactionPicker, type ReactionPickerProps } from './reaction_picker';
export { Composer, type ComposerProps } from './composer';
export { TypingIndicator, type TypingIndicatorProps } from './typing_indicator';
export { ConversationList, type ConversationListProps } from './conversation_list';
export { ClientChatWidget, type ClientChatWidgetProps } from './client_chat_widget';
