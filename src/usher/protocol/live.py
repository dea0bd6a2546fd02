"""Frames of the `/ws` WebSocket, compatible with Vexa's; what is added is additive.

A client sends `subscribe`, `unsubscribe` or `ping`; the server answers, and pushes `meeting.status`,
`transcript.mutable` and `chat.received` frames of the meetings that are subscribed to.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from usher.domain.lifecycle import Reason, State
from usher.domain.meeting import Platform


class MeetingName(BaseModel):
    """A meeting as clients name it: the caller's newest visit to that call."""

    model_config = ConfigDict(frozen=True)

    platform: Platform
    native_id: str = Field(min_length=1, max_length=255)


class Subscribe(BaseModel):
    """Ask for the frames of meetings."""

    action: Literal["subscribe"]
    meetings: list[MeetingName] = Field(min_length=1, max_length=100)


class Unsubscribe(BaseModel):
    """Ask for no more frames of meetings."""

    action: Literal["unsubscribe"]
    meetings: list[MeetingName] = Field(min_length=1, max_length=100)


class Ping(BaseModel):
    """Ask for a pong."""

    action: Literal["ping"]


Request = Annotated[Subscribe | Unsubscribe | Ping, Field(discriminator="action")]
REQUEST: TypeAdapter[Subscribe | Unsubscribe | Ping] = TypeAdapter(Request)


class MeetingTag(BaseModel):
    """Which meeting a frame is about."""

    id: int
    platform: Platform | None = None
    native_id: str | None = None


class StatusPayload(BaseModel):
    """The state of the meeting after its event number `version`: a gap in the numbers means a lost frame."""

    status: State
    version: int
    attempt: int
    reason: Reason | None


class StatusFrame(BaseModel):
    """The meeting moved to another state."""

    type: Literal["meeting.status"] = "meeting.status"
    meeting: MeetingTag
    payload: StatusPayload
    ts: datetime


class LiveSegment(BaseModel):
    """A segment as viewers get it; an older revision of the same `segment_id` is to be replaced."""

    segment_id: str
    revision: int
    start: float
    end_time: float
    text: str
    speaker: str | None
    language: str | None
    completed: bool
    session_uid: str
    absolute_start_time: datetime
    absolute_end_time: datetime


class TranscriptPayload(BaseModel):
    """New or changed segments."""

    segments: list[LiveSegment]


class TranscriptFrame(BaseModel):
    """Something was said."""

    type: Literal["transcript.mutable"] = "transcript.mutable"
    meeting: MeetingTag
    payload: TranscriptPayload
    ts: datetime


class LiveChatMessage(BaseModel):
    """A message of the meeting's chat; one that came before, by its `message_id`, is the same."""

    message_id: str
    sender: str
    text: str
    is_self: bool
    at: datetime


class ChatPayload(BaseModel):
    """New messages, oldest first."""

    messages: list[LiveChatMessage]


class ChatFrame(BaseModel):
    """Something was written into the meeting's chat."""

    type: Literal["chat.received"] = "chat.received"
    meeting: MeetingTag
    payload: ChatPayload
    ts: datetime


def dump(frame: StatusFrame | TranscriptFrame | ChatFrame) -> dict[str, Any]:
    """Return a frame as JSON-compatible values."""
    return frame.model_dump(mode="json")
