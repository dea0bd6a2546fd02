"""Webhooks over the API."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from usher.domain.notices import NoticeType

_Url = Annotated[str, Field(max_length=2000, description="An https URL of a public host.")]
_Events = Annotated[list[NoticeType], Field(min_length=1, max_length=16, description="What it is told of.")]
_Description = Annotated[str, Field(max_length=200, description="For people.")]


class NewWebhookRequest(BaseModel):
    """Add a webhook."""

    model_config = ConfigDict(extra="forbid")

    url: _Url
    events: _Events = [NoticeType.STATUS_CHANGE]
    description: _Description = ""


class WebhookUpdate(BaseModel):
    """Change a webhook; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    url: _Url | None = None
    events: _Events | None = None
    description: _Description | None = None
    enabled: bool | None = Field(default=None, description="Whether it is told of anything.")

    @model_validator(mode="before")
    @classmethod
    def _something(cls, said: Any) -> Any:  # noqa: ANN401 - whatever was sent
        if isinstance(said, dict) and all(value is None for value in said.values()):
            raise ValueError("Give a url, events, a description, or enabled.")
        return said


class EndpointBody(BaseModel):
    """A webhook."""

    id: int
    url: str
    events: list[NoticeType]
    description: str
    enabled: bool
    gone: bool = Field(description="Whether it was disabled because its server answered 410.")
    account: bool = Field(description="Whether it is the one that `PUT /user/webhook` sets.")
    created_at: datetime


class NewWebhook(EndpointBody):
    """A new webhook; its secret is shown this once and never again."""

    secret: str = Field(description="What messages are signed with.")


class WebhookList(BaseModel):
    """Your webhooks, oldest first."""

    webhooks: list[EndpointBody]


class WebhookSecret(BaseModel):
    """A new secret, shown this once and never again."""

    secret: str
    old_secret_good_s: int = Field(description="For so long messages are signed with the secret before, too.")


class WebhookTested(BaseModel):
    """What came of a test."""

    message_id: str = Field(description="As in the header `webhook-id`.")
    delivered: bool
    status_code: int | None = Field(description="Of the answer; null if there was none.")
    error: str | None = Field(description="Why it was not delivered.", examples=["HTTP 404", "ConnectTimeout"])


class DeliveryBody(BaseModel):
    """What became of one message."""

    id: int
    message_id: str = Field(description="As in the header `webhook-id`; the same in every try.")
    event_type: NoticeType
    meeting_id: int
    version: int = Field(description="Number of the event in the meeting's history.")
    status: str = Field(description="`delivered`, `waiting` for its next try, or `failed` for good.")
    attempts: int = Field(description="Tries, since the last replay if there was one.")
    status_code: int | None = Field(description="Of the last answer; null if there was none.")
    error: str | None = Field(description="Why the last try failed.")
    first_at: datetime = Field(description="When it was first tried.")
    last_at: datetime = Field(description="When it was last tried.")
    delivered_at: datetime | None
    next_at: datetime | None = Field(description="When it is tried again, while it is waiting.")


class DeliveryList(BaseModel):
    """What was sent to a webhook, newest first; messages that were not tried yet are not in it."""

    deliveries: list[DeliveryBody]
    next_before_id: int | None = Field(description="`before_id` of the next page; null if this is the last one.")
