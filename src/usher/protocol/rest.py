"""Bodies of the REST API. Names are those of Vexa's public API; what Usher adds is additive."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from usher.domain.lifecycle import Event, Reason, Source, State
from usher.domain.meeting import Platform
from usher.protocol.commands import MOST_CHAT_CHARACTERS, MOST_NAME_CHARACTERS, Task

Language = Field(
    default=None,
    pattern="^[a-z]{2,3}$",
    description="ISO 639-1 code of the language that is spoken; null to detect it.",
    examples=["en"],
)


class BotRequest(BaseModel):
    """Send a bot: name the meeting by its URL alone, or by platform and native id."""

    model_config = ConfigDict(extra="forbid")

    meeting_url: str | None = Field(
        default=None,
        max_length=20_000,
        description="The address that people paste, or the invitation it stands in.",
        examples=["https://meet.google.com/abc-defg-hij"],
    )
    platform: str | None = Field(default=None, description="google_meet, teams, zoom or room.", examples=["room"])
    native_meeting_id: str | None = Field(
        default=None, max_length=255, description="The platform's id of the meeting.", examples=["weekly-sync"]
    )
    passcode: str | None = Field(default=None, max_length=64, description="Passcode, where the platform wants one.")
    bot_name: str = Field(default="Usher", min_length=1, max_length=100, description="The name to join under.")
    language: str | None = Language
    task: Task = Field(default="transcribe", description="transcribe, or translate into English.")
    recording_enabled: bool = Field(default=False, description="Whether the sound is kept: see `GET /recordings`.")
    join_at: datetime | None = Field(
        default=None, description="When the bot shall be at the door, with time zone; null for at once."
    )

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        named_by_id = self.platform is not None and self.native_meeting_id is not None
        half_named = (self.platform is None) != (self.native_meeting_id is None)
        if half_named or named_by_id == (self.meeting_url is not None):
            raise ValueError("Name the meeting either by meeting_url or by platform and native_meeting_id.")
        if self.join_at is not None and self.join_at.tzinfo is None:
            raise ValueError("join_at needs a time zone, for example 2026-11-22T09:00:00Z.")
        return self


class ConfigurationRequest(BaseModel):
    """Change language or task of a bot that is in the meeting; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    language: str | None = Language
    task: Task | None = Field(default=None, description="transcribe, or translate into English.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("Give a language, a task or both.")
        return self


class ConfigurationBody(BaseModel):
    """Language and task."""

    language: str | None
    task: Task


class MeetingBody(BaseModel):
    """One bot's visit to one call."""

    id: int
    user_id: int
    platform: Platform
    native_meeting_id: str = Field(description="Empty if the meeting was deleted.")
    constructed_meeting_url: str = Field(description="Where the bot joins; may hold a passcode. Empty if deleted.")
    status: State
    reason: Reason | None = Field(description="Why it ended or an attempt failed. New words may be added.")
    failure_stage: State | None = Field(description="How far it was when it failed.")
    failure_detail: str | None = Field(
        default=None, description="For people: which step did not work, and what else is known of the failure."
    )
    bot_name: str
    bot_container_id: str | None = Field(description="Name of the workload that runs the bot.")
    attempt: int
    version: int = Field(description="Number of the meeting's last event.")
    configuration: ConfigurationBody = Field(description="In force in the bot.")
    desired_configuration: ConfigurationBody = Field(description="Asked for last.")
    recording_enabled: bool
    join_at: datetime | None
    start_time: datetime | None = Field(description="When the bot was admitted.")
    end_time: datetime | None
    created_at: datetime
    updated_at: datetime
    data: dict[str, Any] = Field(
        description="What you said of it (`name`, `participants`, `languages`, `notes`), what was found out of it "
        "(`totals`, participants, languages), and `redacted: true` if it was deleted."
    )


class MeetingList(BaseModel):
    """Meetings, newest first."""

    meetings: list[MeetingBody]
    next_before_id: int | None = Field(
        default=None, description="There are more: ask again with this as `before_id`. Null at the end."
    )


_ShortText = Annotated[str, Field(min_length=1, max_length=100)]
_LanguageCode = Annotated[str, Field(pattern="^[a-z]{2,3}$")]


class MeetingData(BaseModel):
    """What you say of a meeting; what is left out or null stays as it is. An empty text or list takes it back."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, max_length=200, examples=["Weekly sync"])
    participants: list[_ShortText] | None = Field(default=None, max_length=200, examples=[["Ann", "Ben"]])
    languages: list[_LanguageCode] | None = Field(
        default=None, max_length=20, description="ISO 639-1 codes.", examples=[["en", "de"]]
    )
    notes: str | None = Field(default=None, max_length=10_000, examples=["Ann writes the minutes."])


class MeetingUpdate(BaseModel):
    """Describe a meeting."""

    model_config = ConfigDict(extra="forbid")

    data: MeetingData

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.said():
            raise ValueError("Give a name, participants, languages or notes in data.")
        return self

    def said(self) -> dict[str, Any]:
        """Return what is said, without what is left out or null."""
        return self.data.model_dump(exclude_none=True)


class MeetingDeleted(BaseModel):
    """The transcript of a meeting is gone for good, and what told what it was about."""

    message: str
    meeting_id: int


class RunningBot(BaseModel):
    """A bot that is under way."""

    container_id: str | None
    container_name: str | None
    platform: Platform
    native_meeting_id: str
    status: State
    normalized_status: str
    created_at: datetime
    labels: dict[str, str]
    meeting_id_from_name: str


class RunningBots(BaseModel):
    """The caller's bots that are under way."""

    running_bots: list[RunningBot]


class Accepted(BaseModel):
    """The wish was recorded and will be carried out."""

    message: str
    meeting: MeetingBody


class TranscriptSegment(BaseModel):
    """One piece of a transcript; times in seconds from the bot's admission."""

    segment_id: str
    start: float
    end: float
    text: str
    language: str | None
    speaker: str | None
    completed: bool
    absolute_start_time: datetime
    absolute_end_time: datetime


class Transcript(BaseModel):
    """A meeting and what was said in it."""

    id: int
    platform: Platform
    native_meeting_id: str
    constructed_meeting_url: str
    status: State
    start_time: datetime | None
    end_time: datetime | None
    segments: list[TranscriptSegment]


class SharedTranscript(BaseModel):
    """What was said in a meeting, for whoever was given a link."""

    name: str | None = Field(description="What its owner calls it.")
    status: State
    start_time: datetime | None
    end_time: datetime | None
    segments: list[TranscriptSegment]


class ShareRequest(BaseModel):
    """Make a link to a transcript."""

    model_config = ConfigDict(extra="forbid")

    expires_in_s: int = Field(
        default=7 * 24 * 3600, ge=60, le=365 * 24 * 3600, description="For how long it is good; default: a week."
    )


class ShareBody(BaseModel):
    """A link to a transcript."""

    id: int
    meeting_id: int
    created_at: datetime
    expires_at: datetime


class NewShare(ShareBody):
    """A new link; its token is shown this once and never again."""

    token: str
    path: str = Field(description="Put the address of this API before it.", examples=["/shared/…"])


class ShareList(BaseModel):
    """Links to a transcript that are good, oldest first."""

    shares: list[ShareBody]


class EventBody(BaseModel):
    """One line of a meeting's history."""

    version: int
    event: Event
    from_state: State | None
    to_state: State
    by: Source
    attempt: int
    reason: Reason | None
    detail: str
    at: datetime


class EventList(BaseModel):
    """A meeting's history, oldest first."""

    events: list[EventBody]


class ChatRequest(BaseModel):
    """Write a message into the meeting's chat, by the bot."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=MOST_CHAT_CHARACTERS, examples=["This meeting is being transcribed."])


class NameRequest(BaseModel):
    """Let the bot go under another name."""

    model_config = ConfigDict(extra="forbid")

    bot_name: str = Field(min_length=1, max_length=MOST_NAME_CHARACTERS, examples=["Note taker"])


class CommandAccepted(BaseModel):
    """The bot is being told. What became of it is at `GET /bots/{platform}/{native_meeting_id}/commands/{seq}`."""

    message: str
    seq: int = Field(description="Number of the command.")


class CommandBody(BaseModel):
    """A command to a bot, and what became of it."""

    seq: int
    action: str = Field(description="chat, rename, reconfigure or leave. New words may be added.")
    state: Literal["pending", "applied", "refused", "expired"] = Field(
        description="expired: the attempt was over, or a later command had made it void, before the bot did it."
    )
    detail: str = Field(description="Why it was refused.")


class ChatMessageBody(BaseModel):
    """A message of a meeting's chat, as a bot saw it."""

    message_id: str
    sender: str = Field(description="Name as shown; empty where the page does not tell.")
    text: str
    is_self: bool = Field(description="The bot wrote it.")
    at: datetime = Field(description="When the bot first saw it.")


class ChatBody(BaseModel):
    """What was written into a meeting's chat while a bot was there, oldest first."""

    meeting_id: int
    messages: list[ChatMessageBody]


class EvidenceBody(BaseModel):
    """What a bot saw when a step did not work."""

    id: int = Field(description="Number of the piece within the meeting.")
    attempt: int
    step: str = Field(description="The step that did not work.")
    reason: str | None
    taken_at: datetime
    title: str
    address: str = Field(description="Address of the page, without query and fragment.")
    screenshot_bytes: int = Field(description="Size of the screenshot; 0 if there is none.")
    tree_characters: int = Field(description="Length of the accessible tree; 0 if there is none.")


class EvidenceList(BaseModel):
    """Pieces of evidence, oldest first; the newest 20 of a meeting are kept."""

    evidence: list[EvidenceBody]


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(description="URN of the kind of problem.")
    title: str
    status: int
    detail: str = Field(description="What is wrong and what to do.")
    code: str = Field(description="Stable word for programs.")
    errors: list[dict[str, Any]] | None = Field(default=None, description="Which fields are wrong, and why.")


class Health(BaseModel):
    """Whether the manager can do its work."""

    status: Literal["ok", "degraded"]
    database: bool
    redis: bool
    version: str


class WebhookRequest(BaseModel):
    """Where to be told of changes."""

    webhook_url: str | None = Field(max_length=2000, description="An https URL, or null to be told nothing more.")
    webhook_secret: str | None = Field(
        default=None, max_length=200, description="`whsec_` and 24 bytes or more in base64; without one, one is made."
    )


class WebhookBody(BaseModel):
    """Where you are told of changes."""

    webhook_url: str | None
    webhook_secret: str | None = Field(default=None, description="What messages are signed with; shown only when set.")
