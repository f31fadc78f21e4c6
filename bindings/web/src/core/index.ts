// travelchat-web: the chat without a user interface. `travelchat-web/react` has one on top.
export * from './types';
export * from './model';
export type { ChatClientOptions, SessionCredential, TokenCredential } from './client';
export { ChatClient } from './client';
export { ChatError, fetchChatGrant } from './api';
export type { Environment } from './environment';
export type { RowLayout } from './grouping';
export { dividerLabel, layOut, needsDivider, timeLabel } from './grouping';
export type { Chime } from './sound';
export { createChime } from './sound';
