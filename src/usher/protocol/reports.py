"""What a bot says to the manager: `POST /internal/bots/{connection_id}/{started|status|exited|heartbeat}`.

Every report carries the bearer token of the attempt. A repeated report gets the answer of the first. HTTP 410 means:
this attempt is over, leave and exit.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from usher.domain.lifecycle import HELPABLE, Reason

_REASONS = frozenset(Reason)


class _Report(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    seq: int = Field(ge=1, description="Number of the report; the bot counts its reports from 1.")


class Started(_Report):
    """The bot is in the meeting."""


class Status(_Report):
    """The bot is on its way."""

    status: Literal["joining", "awaiting_admission", "help_wanted"]
    reason: Reason | None = Field(default=None, description="With `help_wanted`: what is in the way.")

    @field_validator("reason", mode="before")
    @classmethod
    def _forget_unknown_reason(cls, said: object) -> object:
        """Take the word of another version for none."""
        return said if isinstance(said, str) and said in HELPABLE else None


class Exited(_Report):
    """The bot's last word."""

    exit_code: int = Field(description="0 if the visit ended as it should.")
    reason: Reason | None = Field(default=None, description="Why it ended; a word that is not known counts as none.")
    detail: str = Field(default="", max_length=4000, description="Evidence for people; no content of the meeting.")

    @model_validator(mode="before")
    @classmethod
    def _keep_unknown_reason(cls, said: object) -> object:
        """Move a reason of another version into the detail: a last word that is refused would make the end a crash."""
        reason = said.get("reason") if isinstance(said, dict) else None
        if not isinstance(said, dict) or reason is None or (isinstance(reason, str) and reason in _REASONS):
            return said
        detail = f"reason: {str(reason)[:100]}. {said.get('detail', '')}"
        return {**said, "reason": None, "detail": detail[:4000]}


class ReportAnswer(BaseModel):
    """Answer to started, status and exited: what became of the report."""

    outcome: Literal["applied", "ignored"]
    detail: str = ""


MOST_MARKS = 200
"""How many segments one heartbeat may ask about."""


class SegmentMark(BaseModel):
    """One revision of one segment."""

    model_config = ConfigDict(frozen=True)

    segment_id: str = Field(min_length=1, max_length=120)
    revision: int = Field(ge=0, le=2**31 - 1)


class Heartbeat(BaseModel):
    """Sign of life every few seconds."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    executed_seq: int = Field(default=0, ge=0, description="Up to which number commands are settled.")
    sent: list[SegmentMark] = Field(
        default=[], max_length=MOST_MARKS, description="Final segments that were sent and not yet confirmed."
    )


class HeartbeatAnswer(BaseModel):
    """Tells the bot whether it has missed a command, and which of its segments are safe."""

    model_config = ConfigDict(extra="ignore")

    newest_seq: int = Field(ge=0, description="Highest command number for this bot.")
    stored: list[SegmentMark] = Field(
        default=[], description="Those of `sent` that are committed in this or a newer revision; send others again."
    )
