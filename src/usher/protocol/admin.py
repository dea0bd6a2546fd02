"""Bodies of the Admin API. Names are those of Vexa's public API; what Usher adds is additive."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from usher.domain.scopes import Scope


class UserRequest(BaseModel):
    """Create a user, or find the one with that address."""

    model_config = ConfigDict(extra="ignore")

    email: str = Field(min_length=3, max_length=255, pattern=r"^[^@\s]+@[^@\s]+$", examples=["ann@example.com"])
    name: str | None = Field(default=None, max_length=255)
    max_concurrent_bots: int = Field(default=3, ge=0, le=100_000, description="0 means that none may be sent.")
    data: dict[str, Any] = Field(default={}, description="Whatever you want to keep of them.")


class UserBody(BaseModel):
    """Somebody who sends bots."""

    id: int
    email: str
    name: str | None
    max_concurrent_bots: int
    created_at: datetime
    data: dict[str, Any]


class TokenRequest(BaseModel):
    """What an API key is to be. All may be left out: then it does everything, until it is revoked."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, max_length=100, description="What it is for.", examples=["Note taker"])
    scopes: list[Scope] | None = Field(
        default=None, min_length=1, max_length=20, description="What it may be used for; null for everything."
    )
    expires_in_s: int | None = Field(
        default=None, ge=1, le=10 * 366 * 24 * 3600, description="For how long it is good; null until it is revoked."
    )


class TokenInfo(BaseModel):
    """An API key, without the key itself."""

    id: int
    user_id: int
    name: str | None
    scopes: list[Scope] | None = Field(description="What it may be used for; null for everything.")
    ending: str = Field(description="Its last characters; empty if they are not known.")
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To a minute or so; null if it was not used yet.")


class TokenBody(TokenInfo):
    """A new API key; it is shown this once and never again."""

    token: str


class TokenList(BaseModel):
    """A user's API keys, newest first, 1,000 at most."""

    tokens: list[TokenInfo]


class UserUpdate(BaseModel):
    """Change a user; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, max_length=255)
    max_concurrent_bots: int = Field(default=3, ge=0, le=100_000, description="0 means that none may be sent.")
    data: dict[str, Any] = Field(default={}, description="Replaces what is there.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("Give a name, max_concurrent_bots or data.")
        return self


class UsageBody(BaseModel):
    """What a user's meetings amount to."""

    user_id: int
    meetings: int = Field(description="Bots that were asked for.")
    bot_hours: float = Field(description="From admission to the end of each, or to now.")
    transcript_seconds: float = Field(description="Speech in transcripts of meetings that are over, also deleted ones.")


class AuditBody(BaseModel):
    """A deed of an admin, or a deletion."""

    id: int
    actor: str = Field(description="`admin`, or `user:` and an id.")
    origin: str = Field(description="Address that the request came from; empty if it is not known.")
    action: str = Field(description="What was done. New words may be added.", examples=["user_created"])
    subject: str = Field(description="To what.", examples=["user:5", "token:7", "meeting:12"])
    data: dict[str, Any]
    at: datetime


class AuditList(BaseModel):
    """Deeds, newest first."""

    entries: list[AuditBody]
    next_before_id: int | None = Field(
        default=None, description="There are more: ask again with this as `before_id`. Null at the end."
    )
