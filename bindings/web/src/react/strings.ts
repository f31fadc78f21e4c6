// Every word that the components show or speak: one table per language. A host overrides single entries through
// `ChatProvider`; a new language is one more table.
import { languageTag } from '../core/language';
import type { Emoji } from '../core/types';

export interface ChatStrings {
  /** Of these words: the tag by which lists of names and numbers within them are written. */
  language: string;

  // The log of messages.
  messages: string;
  loadingMessages: string;
  loadingOlder: string;
  messagesNotLoaded: string;
  emptyThread: string;
  today: string;
  yesterday: string;
  newLine: string;
  newMessages: (count: number) => string;
  scrollToEnd: string;
  youSaid: (text: string) => string;
  personSaid: (name: string, text: string) => string;
  isTyping: (name: string) => string;
  imageAttachment: string;
  fileAttachment: string;

  // An own message on its way.
  sending: string;
  sent: string;
  seen: string;
  seenAt: (time: string) => string;
  notSent: string;
  /** By the wire's error code; `notSent` where there is no entry. */
  notSentBecause: Readonly<Record<string, string>>;
  retry: string;
  delete: string;

  // Reactions.
  react: string;
  emoji: Readonly<Record<Emoji, string>>;
  you: string;
  /** What a pill says: "Heart, Ann and you". `people` is a list in words. */
  reactedBy: (emoji: string, people: string) => string;

  // The input.
  message: string;
  send: string;
  /** `digits` is the count as this language writes it. */
  tooLong: (count: number, digits: string) => string;

  // The connection.
  connecting: string;
  offline: string;
  signedOut: string;
  refused: string;
  reconnect: string;

  // The list of conversations.
  conversations: string;
  search: string;
  clearSearch: string;
  loadingConversations: string;
  conversationsNotLoaded: string;
  emptyList: string;
  noResults: (query: string) => string;
  noMessages: string;
  unreadMessages: (count: number) => string;
  activeTrip: (title: string) => string;

  // The floating widget.
  openChat: (unread: number) => string;
  closeChat: string;
  /** Of the switch for the sound of new messages. */
  sound: string;
  chatWith: (name: string) => string;
  /** Stands for the advisor's name where the server gives none. */
  advisor: string;
  re: (title: string) => string;
  emptyWidget: string;
  chatUnavailable: string;
}

const en: ChatStrings = {
  language: 'en',

  messages: 'Messages',
  loadingMessages: 'Loading messages…',
  loadingOlder: 'Loading older messages…',
  messagesNotLoaded: 'Messages could not be loaded.',
  emptyThread: 'No messages yet',
  today: 'Today',
  yesterday: 'Yesterday',
  newLine: 'New',
  newMessages: (count) => (count === 1 ? '1 new message ↓' : `${count} new messages ↓`),
  scrollToEnd: 'Scroll to the end',
  youSaid: (text) => `You: ${text}`,
  personSaid: (name, text) => `${name}: ${text}`,
  isTyping: (name) => `${name} is typing`,
  imageAttachment: 'Image',
  fileAttachment: 'File',

  sending: 'Sending…',
  sent: 'Sent',
  seen: 'Seen',
  seenAt: (time) => `Seen ${time}`,
  notSent: 'Not delivered',
  notSentBecause: {
    invalid_content: 'Not delivered: this text cannot be sent',
    payload_too_large: 'Not delivered: too long',
    rate_limited: 'Not delivered: too many messages at once',
    unauthenticated: 'Not delivered: signed out',
    forbidden: 'Not delivered: not allowed',
    not_found: 'Not delivered: this conversation no longer exists',
    storage_full: 'Not delivered: the server is full',
  },
  retry: 'Retry',
  delete: 'Delete',

  react: 'React',
  emoji: { '❤️': 'Heart', '👍': 'Thumbs up', '😂': 'Laughing', '😮': 'Surprised', '😢': 'Sad', '👎': 'Thumbs down' },
  you: 'you',
  reactedBy: (emoji, people) => `${emoji}, ${people}`,

  message: 'Message',
  send: 'Send',
  tooLong: (count, digits) => `Too long by ${digits} ${count === 1 ? 'character' : 'characters'}`,

  connecting: 'Connecting…',
  offline: 'No connection. Your messages are sent when it is back.',
  signedOut: 'You are signed out.',
  refused: 'This conversation is not available.',
  reconnect: 'Reconnect',

  conversations: 'Conversations',
  search: 'Search',
  clearSearch: 'Clear the search',
  loadingConversations: 'Loading conversations…',
  conversationsNotLoaded: 'Conversations could not be loaded.',
  emptyList: 'No conversations yet',
  noResults: (query) => `No results for “${query}”`,
  noMessages: 'No messages yet',
  unreadMessages: (count) => (count === 1 ? '1 unread message' : `${count} unread messages`),
  activeTrip: (title) => `Active trip: ${title}`,

  openChat: (unread) =>
    unread === 0 ? 'Open chat' : `Open chat, ${unread === 1 ? '1 unread message' : `${unread} unread messages`}`,
  closeChat: 'Close chat',
  sound: 'Sound of new messages',
  chatWith: (name) => `Chat with ${name}`,
  advisor: 'Your advisor',
  re: (title) => `Re: ${title}`,
  emptyWidget: 'Send a message to your advisor',
  chatUnavailable: 'The chat is not available right now.',
};

const de: ChatStrings = {
  language: 'de',

  messages: 'Nachrichten',
  loadingMessages: 'Nachrichten werden geladen …',
  loadingOlder: 'Ältere Nachrichten werden geladen …',
  messagesNotLoaded: 'Die Nachrichten konnten nicht geladen werden.',
  emptyThread: 'Noch keine Nachrichten',
  today: 'Heute',
  yesterday: 'Gestern',
  newLine: 'Neu',
  newMessages: (count) => (count === 1 ? '1 neue Nachricht ↓' : `${count} neue Nachrichten ↓`),
  scrollToEnd: 'Zum Ende',
  youSaid: (text) => `Sie: ${text}`,
  personSaid: (name, text) => `${name}: ${text}`,
  isTyping: (name) => `${name} schreibt`,
  imageAttachment: 'Bild',
  fileAttachment: 'Datei',

  sending: 'Wird gesendet …',
  sent: 'Gesendet',
  seen: 'Gesehen',
  seenAt: (time) => `Gesehen ${time}`,
  notSent: 'Nicht zugestellt',
  notSentBecause: {
    invalid_content: 'Nicht zugestellt: Dieser Text kann nicht gesendet werden',
    payload_too_large: 'Nicht zugestellt: zu lang',
    rate_limited: 'Nicht zugestellt: zu viele Nachrichten auf einmal',
    unauthenticated: 'Nicht zugestellt: abgemeldet',
    forbidden: 'Nicht zugestellt: nicht erlaubt',
    not_found: 'Nicht zugestellt: Diese Unterhaltung gibt es nicht mehr',
    storage_full: 'Nicht zugestellt: Der Server ist voll',
  },
  retry: 'Erneut senden',
  delete: 'Löschen',

  react: 'Reagieren',
  emoji: { '❤️': 'Herz', '👍': 'Daumen hoch', '😂': 'Lachend', '😮': 'Überrascht', '😢': 'Traurig', '👎': 'Daumen runter' },
  you: 'Sie',
  reactedBy: (emoji, people) => `${emoji}, ${people}`,

  message: 'Nachricht',
  send: 'Senden',
  tooLong: (_, digits) => `${digits} Zeichen zu lang`,

  connecting: 'Verbindung wird hergestellt …',
  offline: 'Keine Verbindung. Ihre Nachrichten werden später gesendet.',
  signedOut: 'Sie sind abgemeldet.',
  refused: 'Diese Unterhaltung ist nicht verfügbar.',
  reconnect: 'Neu verbinden',

  conversations: 'Unterhaltungen',
  search: 'Suchen',
  clearSearch: 'Suche löschen',
  loadingConversations: 'Unterhaltungen werden geladen …',
  conversationsNotLoaded: 'Die Unterhaltungen konnten nicht geladen werden.',
  emptyList: 'Noch keine Unterhaltungen',
  noResults: (query) => `Keine Ergebnisse für „${query}“`,
  noMessages: 'Noch keine Nachrichten',
  unreadMessages: (count) => (count === 1 ? '1 ungelesene Nachricht' : `${count} ungelesene Nachrichten`),
  activeTrip: (title) => `Aktuelle Reise: ${title}`,

  openChat: (unread) =>
    unread === 0
      ? 'Chat öffnen'
      : `Chat öffnen, ${unread === 1 ? '1 ungelesene Nachricht' : `${unread} ungelesene Nachrichten`}`,
  closeChat: 'Chat schließen',
  sound: 'Ton bei neuen Nachrichten',
  chatWith: (name) => `Chat mit ${name}`,
  advisor: 'Ihre Reiseberatung',
  re: (title) => `Betreff: ${title}`,
  emptyWidget: 'Schreiben Sie Ihrer Reiseberatung',
  chatUnavailable: 'Der Chat ist gerade nicht verfügbar.',
};

export const languages = { en, de } as const satisfies Record<string, ChatStrings>;

/** The words for the first of these that is a BCP 47 tag, or begins with one, and the locale to format times in: the tag
 * itself, also where its language has no table and the words are English. */
export function stringsFor(...tags: (string | undefined)[]): { locale: string; strings: ChatStrings } {
  const locale = tags.map(languageTag).find((tag) => tag !== undefined) ?? 'en';
  const language = languageOf(locale);
  const strings = Object.hasOwn(languages, language) ? languages[language as keyof typeof languages] : en;
  return { locale, strings };
}

const languageOf = (tag: string): string => tag.split('-')[0]!.toLowerCase();

/** What formats the parts of a sentence: `locale` where it is of the language of the words, otherwise that language. */
export function localeOfWords({ locale, strings }: { locale: string; strings: ChatStrings }): string {
  const language = languageTag(strings.language) ?? 'en';
  return languageOf(locale) === languageOf(language) ? locale : language;
}
