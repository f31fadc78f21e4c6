// travelchat-web: the chat without a user interface. `travelchat-web/react` has one on top.
export * from './types';
export * from './model';
export type { SessionCredential, TokenCredential } from './credential';
export type { ChatClientOptions } from './thread_client';
export { ChatClient } from './client';
export { ChatError, fetchChatGrant } from './api';
export type { ForgetOptions } from './forget';
export { forgetUnsent } from './forget';
export type { Environment } from './environment';
export type { RowLayout } from './grouping';
export { dividerLabel, layOut, needsDivider, timeLabel } from './grouping';
export type { Chime, SoundSwitch } from './sound';
export { createChime, soundSwitch } from './sound';
