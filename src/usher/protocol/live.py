"""Frames of the `/ws` WebSocket, compatible with Vexa's; what is added is additive.

A client sends `subscribe`, `unsubscribe` or `ping`; the server answers, and pushes `meeting.status`,
`transcript.mutable`, `chat.received` and `transcript.deleted` frames of the meetings that are subscribed to. Each has a
`cursor`: whoever names it when subscribing anew gets what came after that frame.
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


class WantedMeeting(MeetingName):
    """A meeting that is to be followed.

    Attributes:
        cursor: Of the last frame that was received of it: what came after that is told first, of the visit that the
            frame was about. Without it, the present state is.
    """

    cursor: str | None = Field(default=None, max_length=200)


class Subscribe(BaseModel):
    """Ask for the frames of meetings."""

    action: Literal["subscribe"]
    meetings: list[WantedMeeting] = Field(min_length=1, max_length=100)


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


class PushedFrame(BaseModel):
    """What every pushed frame has.

    Attributes:
        cursor: Opaque: where to go on after this frame. Whoever serves a viewer adds it.
    """

    cursor: str | None = Field(default=None, exclude_if=lambda cursor: cursor is None)


class StatusFrame(PushedFrame):
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
    """New or changed segments, of the transcript's edition of that number: a gap in the numbers means a lost frame."""

    segments: list[LiveSegment]
    edition: int | None = None


class TranscriptFrame(PushedFrame):
    """Something was said."""

    type: Literal["transcript.mutable"] = "transcript.mutable"
    meeting: MeetingTag
    payload: TranscriptPayload
    ts: datetime


class LiveChatMessage(BaseModel):
    """A message of the meeting's chat; one that came before, by its `message_id`, is the same.

    They are numbered from 1: a gap in the numbers means a lost frame.
    """

    message_id: str
    number: int
    sender: str
    text: str
    is_self: bool
    at: datetime


class ChatPayload(BaseModel):
    """New messages, oldest first."""

    messages: list[LiveChatMessage]


class ChatFrame(PushedFrame):
    """Something was written into the meeting's chat."""

    type: Literal["chat.received"] = "chat.received"
    meeting: MeetingTag
    payload: ChatPayload
    ts: datetime


class DeletedFrame(PushedFrame):
    """The transcript was deleted, and chat, recordings and evidence with it: what was shown of it has to go."""

    type: Literal["transcript.deleted"] = "transcript.deleted"
    meeting: MeetingTag
    ts: datetime


class LiveTicket(BaseModel):
    """Opens one live connection, in place of the API key. It is shown this once."""

    ticket: str
    expires_at: datetime


def dump(frame: PushedFrame) -> dict[str, Any]:
    """Return a frame as JSON-compatible values."""
    return frame.model_dump(mode="json")
