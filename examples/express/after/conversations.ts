import type { ChatEngine, Participant } from 'travelchat';

import type { DemoConversation } from '../server/demo.ts';

/** Has the people of the demonstration say what they have said. */
export async function loadConversations(engine: ChatEngine, conversations: DemoConversation[]): Promise<void> {
  await Promise.all(conversations.map(async ({ orgId, clientId, clientName, advisorId, advisorName, lines }) => {
    const { id } = await engine.openConversation(orgId, clientId);
    const client: Participant = { orgId, role: 'client', id: clientId, name: clientName };
    const advisor: Participant = { orgId, role: 'advisor', id: advisorId, name: advisorName };
    await Promise.all(lines.map((content, i) =>
      engine.send(i % 2 === 0 ? client : advisor, { conversationId: id, content })));
  }));
}
