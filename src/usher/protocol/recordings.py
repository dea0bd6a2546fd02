"""Recordings: what a bot uploads while it records, and how the API shows it.

A recording is one attempt's sound: a file for each speaker and one with all of them, each WebM with one Opus track. A
bot describes a file by `PUT /internal/bots/{connection_id}/recordings/{name}` and uploads it in chunks, numbered from
0, by `PUT …/recordings/{name}/{number}?until_ms=…`. A chunk ends at the end of a WebM cluster, so the chunks from 0 to
any number make a file that plays. Both calls may be repeated: the same again changes nothing.

Source: the shape of the REST bodies is that of Vexa's `GET /recordings`; `speaker`, `name` and times are Usher's own.
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

MEDIA_TYPE = "audio/webm"

MIXED = "mixed"
"""Name of the file with everybody; the others are `speaker-1`, `speaker-2`, …"""

MEDIA_NAME = r"^(mixed|speaker-([1-9][0-9]?|1[0-9]{2}))$"

MOST_FILES = 200
"""How many files one recording has at most."""

MOST_CHUNK_BYTES = 192 * 1024
"""A chunk is no longer; five seconds of speech are a tenth of it."""

MOST_CHUNKS = 100_000

DURATION_PLACE = bytes.fromhex("ec89") + b"duration\0"
"""A WebM element that players skip (`Void`), as long as `Duration`, which takes its place once it is known."""


def speaker_file(number: int) -> str:
    """Return the name of a speaker's file; the first one to be heard has number 1."""
    return f"speaker-{number}"


class FileState(StrEnum):
    """How far a bot is with a file."""

    IN_PROGRESS = "in_progress"
    FINISHED = "finished"
    GIVEN_UP = "given_up"


class FileDescription(BaseModel):
    """What a bot says of one file, when it begins, when something changes, and when it ends."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    speaker: str | None = Field(default=None, max_length=255, description="Who is heard, by the name shown last.")
    started_at: AwareDatetime = Field(description="Moment of the first sample; the same for every file of an attempt.")
    state: FileState = FileState.IN_PROGRESS
    lost_ms: int = Field(default=0, ge=0, description="Sound that was heard and could not be kept.")


RecordingState = Literal["in_progress", "completed", "interrupted", "failed"]


class MediaFile(BaseModel):
    """One file of a recording."""

    id: int
    name: str = Field(description="mixed: everybody; speaker-1, speaker-2, …: one of them.")
    type: Literal["audio"] = "audio"
    format: Literal["webm"] = "webm"
    speaker: str | None = Field(description="Who is heard, by the name shown last; null where nobody was named.")
    file_size_bytes: int
    duration_seconds: float = Field(description="Until the last sound so far, from the start of the recording.")
    lost_seconds: float = Field(description="Sound that was heard and could not be kept.")
    created_at: datetime


class RecordingBody(BaseModel):
    """The sound of one attempt of a meeting's bot. It may be read while it grows."""

    id: int
    meeting_id: int
    user_id: int
    attempt: int
    source: Literal["bot"] = "bot"
    status: RecordingState = Field(
        description="completed: the bot ended it; interrupted: the bot died, what it had uploaded is there; "
        "failed: it could not be kept to the end."
    )
    detail: str = Field(description="Why it failed, for people.")
    started_at: datetime = Field(description="Moment of the first sample of every file.")
    created_at: datetime
    media_files: list[MediaFile]


class RecordingList(BaseModel):
    """Recordings, newest first."""

    recordings: list[RecordingBody]
