"""What type checkers must find out by themselves; read by mypy --strict (test_types.py), never run."""

from __future__ import annotations

import datetime
from typing import assert_type

import travelchat
import travelchat.sync
from travelchat import ChatEngine, Event, Participant, Role


async def use_cases(engine: ChatEngine, me: Participant) -> None:
    conversation = await engine.open_conversation("org", "carl")
    assert_type(conversation, travelchat.Conversation)
    assert_type(conversation.last_message_at, datetime.datetime | None)
    sent = await engine.send(me, conversation.id, "Hello", client_message_id="a")
    assert_type(sent, travelchat.Sent)
    assert_type(sent.message.sender_type, Role)
    assert_type(sent.message.reactions, tuple[travelchat.Reaction, ...])
    assert_type(await engine.list_messages(me, conversation.id, before=3), travelchat.MessagePage)
    assert_type(await engine.react(me, conversation.id, sent.message.id, "x"), tuple[travelchat.Reaction, ...])
    assert_type(await engine.list_conversations("org"), tuple[travelchat.ConversationSummary, ...])
    assert_type(await engine.count_unread("org"), int)
    assert_type((await engine.issue_token("org", "carl", "trip", conversation.id)).expires_at, datetime.datetime)
    await engine.send(me, conversation.id)  # type: ignore[call-arg]
    await engine.send("ada", conversation.id, "Hello")  # type: ignore[arg-type]
    await engine.send(me, conversation.id, "Hello", attachment_url=7)  # type: ignore[arg-type]
    await engine.send(me, conversation.id, "Hello", attachement_url="/a")  # type: ignore[call-arg]
    sent.message.content = "changed"  # type: ignore[misc]


async def follow(engine: ChatEngine) -> None:
    async for event in engine.subscribe("id", since=3):
        assert_type(event, Event)
        match event:
            case travelchat.MessageCreated(message=message, rev=rev):
                assert_type(message, travelchat.Message)
                assert_type(rev, int)
            case travelchat.Resync():
                break
            case _:
                pass
    for other in engine.subscribe("id"):  # type: ignore[attr-defined]
        pass


def blocking(engine: travelchat.sync.ChatEngine, me: Participant) -> None:
    assert_type(engine.send(me, "id", "Hello"), travelchat.Sent)
    for event in engine.subscribe("id"):
        assert_type(event, Event)


def errors() -> None:
    try:
        pass
    except travelchat.NotFound as error:
        assert_type(error.code, str)
        assert_type(error.http_status, int)
    except (travelchat.InvalidEmoji, travelchat.TravelchatError):
        pass


class Incomplete(travelchat.Storage):
    def ping(self) -> None: ...


Incomplete()  # type: ignore[abstract]
travelchat.sync.ChatEngine(object())  # type: ignore[arg-type]
