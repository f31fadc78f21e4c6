// The client behind `ClientChatWidget`, as a part of its own: a page whose link grants no chat never loads it. widget.js,
// which is one file, has it in it (src/widget/load_thread_client.ts takes the place of this one).

export const loadThreadClient = () => import('../core/thread_client');
