// The specification's WebSocket server (its step 3): rooms of sockets, a typing state per room, broadcasts that
// stringify once and call send for each socket.
import { WebSocket, WebSocketServer } from 'ws';

const rooms = new Map(); // conversationId -> Set of sockets
const typing = new Map(); // conversationId -> {advisorTyping, clientTyping}
const metadata = new Map(); // socket -> {conversationId, userType, userId}

function broadcastToRoom(conversationId, event, except = null) {
  const room = rooms.get(conversationId);
  if (!room) return;
  const text = JSON.stringify(event);
  for (const socket of room) {
    if (socket !== except && socket.readyState === WebSocket.OPEN) socket.send(text);
  }
}

export function broadcastNewMessage(conversationId, message) {
  broadcastToRoom(conversationId, { type: 'new_message', message });
}

export function broadcastReactionUpdate(conversationId, messageId, reactions) {
  broadcastToRoom(conversationId, { type: 'reaction_update', messageId, reactions });
}

export function broadcastSeen(conversationId, seenAt) {
  broadcastToRoom(conversationId, { type: 'seen', seenAt });
}

function setTyping(socket, isTyping) {
  const { conversationId, userType } = metadata.get(socket);
  const state = typing.get(conversationId);
  const key = userType === 'advisor' ? 'advisorTyping' : 'clientTyping';
  if (!state || state[key] === isTyping) return;
  state[key] = isTyping;
  broadcastToRoom(conversationId, { type: 'typing', ...state }, socket);
}

function leave(socket) {
  const about = metadata.get(socket);
  if (!about) return;
  const room = rooms.get(about.conversationId);
  room.delete(socket);
  setTyping(socket, false);
  if (room.size === 0) {
    rooms.delete(about.conversationId);
    typing.delete(about.conversationId);
  }
  metadata.delete(socket);
}

export function setupWebSocket(httpServer) {
  const server = new WebSocketServer({ server: httpServer, path: '/ws/chat' });
  server.on('connection', (socket, request) => {
    const query = new URL(request.url, 'http://localhost').searchParams;
    const conversationId = query.get('conversationId');
    const userType = query.get('userType');
    const userId = query.get('userId');
    if (!conversationId || !userId || (userType !== 'advisor' && userType !== 'client')) {
      socket.close();
      return;
    }
    metadata.set(socket, { conversationId, userType, userId });
    if (!rooms.has(conversationId)) {
      rooms.set(conversationId, new Set());
      typing.set(conversationId, { advisorTyping: false, clientTyping: false });
    }
    rooms.get(conversationId).add(socket);
    socket.send(JSON.stringify({ type: 'typing', ...typing.get(conversationId) }));

    socket.on('message', (data) => {
      let event;
      try {
        event = JSON.parse(data);
      } catch {
        return;
      }
      if (event.type === 'typing') {
        setTyping(socket, Boolean(event.isTyping));
      } else if (event.type === 'seen') {
        broadcastToRoom(conversationId, { type: 'seen', seenAt: new Date().toISOString() }, socket);
      }
    });
    socket.on('close', () => leave(socket));
    socket.on('error', () => leave(socket));
  });
  return server;
}
