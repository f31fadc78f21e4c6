"""A bot that answers "what time is my flight" in every conversation of an organization.

    python examples/bot/bot.py --organization ORG --storage postgres://... --backplane nats://...

It is a node beside the servers, on their database and their NATS. With a file as `--storage` it has the chat to itself. It
follows the organization's inbox, so it needs one subscription however many conversations there are.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from collections.abc import Callable

from travelchat import ChatEngine, ConversationUpdated, Message, Participant, Resync, Role, nats, postgres, sqlite

QUESTION = re.compile(r"\b(what\s+time|when)\b.*\bflight\b", re.IGNORECASE)

FindFlight = Callable[[str], str | None]


def answer(message: Message, client_id: str, find_flight: FindFlight) -> str | None:
    """What the bot has to say to a message; None: nothing."""
    if message.sender_type != Role.CLIENT or not QUESTION.search(message.content):
        return None
    departure = find_flight(client_id)
    return f"Your flight leaves {departure}." if departure else "I see no flight of yours. An advisor will have a look."


async def run(engine: ChatEngine, org_id: str, find_flight: FindFlight) -> None:
    """Until the engine closes or the task is cancelled."""
    bot = Participant.advisor(org_id, "flight-bot", "Flight Bot")

    async def look_at(message: Message | None, client_id: str) -> None:
        said = answer(message, client_id, find_flight) if message else None
        if message and said:
            # Named after the question: whatever happens in between, it is answered once.
            await engine.send(bot, message.conversation_id, said, client_message_id=f"flight-{message.id}")

    async def catch_up() -> None:
        for row in await engine.list_conversations(org_id):
            await look_at(row.last_message, row.conversation.client_id)

    async with engine.subscribe_inbox(org_id) as inbox:
        await catch_up()  # what came while nobody listened
        async for event in inbox:
            match event:
                case ConversationUpdated(summary=row):
                    await look_at(row.last_message, row.conversation.client_id)
                case Resync():
                    await catch_up()


async def main() -> None:
    parser = argparse.ArgumentParser(description="Answers when a client asks for the time of a flight.")
    parser.add_argument("--storage", default="chat.db", metavar="URL|FILE")
    parser.add_argument("--backplane", metavar="URL")
    parser.add_argument("--organization", required=True)
    given = parser.parse_args()
    is_shared = given.storage.startswith(("postgres://", "postgresql://"))
    # In a thread: it waits for the database.
    storage = await asyncio.to_thread(postgres if is_shared else sqlite, given.storage)
    flights = {"carl": "on 2 April at 09:15 from Frankfurt, gate B 42"}
    async with ChatEngine(storage, backplane=nats(given.backplane) if given.backplane else None) as engine:
        await run(engine, given.organization, flights.get)


if __name__ == "__main__":
    asyncio.run(main())
