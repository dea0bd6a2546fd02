"""The chat of meetings: what bots read there, and on to live viewers."""

from collections.abc import Sequence
from datetime import UTC, datetime

from usher.domain.errors import Superseded
from usher.ports import ChatMessage, Chats, Feed
from usher.protocol.chat import SeenLine
from usher.protocol.credentials import BotIdentity
from usher.protocol.live import ChatFrame, ChatPayload, LiveChatMessage, MeetingTag, dump


async def take_chat(store: Chats, feed: Feed, bot: BotIdentity, lines: Sequence[SeenLine]) -> int:
    """Keep the lines that are new, tell viewers of them, and return how many those are. Idempotent.

    Raises:
        Superseded: The attempt is over.
    """
    kept = await store.save_chat(bot.connection_id, lines)
    if kept is None:
        raise Superseded("attempt_over", "This attempt is over. Leave the meeting and exit.")
    if kept:
        feed.publish(bot.meeting_id, dump(chat_frame(bot.meeting_id, kept)))
    return len(kept)


def chat_frame(meeting_id: int, messages: Sequence[ChatMessage]) -> ChatFrame:
    """Return the live frame that tells messages."""
    return ChatFrame(
        meeting=MeetingTag(id=meeting_id),
        payload=ChatPayload(messages=[_live(message) for message in messages]),
        ts=datetime.now(UTC),
    )


def message_id(message: ChatMessage) -> str:
    """Return what viewers know a message by: one for each within its meeting."""
    return f"{message.attempt}:{message.line_id}"


def _live(message: ChatMessage) -> LiveChatMessage:
    return LiveChatMessage(
        message_id=message_id(message),
        number=message.number,
        sender=message.sender,
        text=message.text,
        is_self=message.is_self,
        at=message.at,
    )
