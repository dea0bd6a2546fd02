"""What a webhook is told, and how the message is signed.

Source: Standard Webhooks specification (headers `webhook-id`, `webhook-timestamp`, `webhook-signature`, secrets that
begin with `whsec_`); event types and the shape of the message are those of Vexa's API, and so are the second pair of
headers, for receivers that were written for it. Vexa's third, the secret itself as a bearer token, is left out: whoever
reads one message could sign all others.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from usher.domain.lifecycle import Event, Reason, Source, State
from usher.domain.notices import NoticeType

API_VERSION = "2026-11-01"

_SECRET_PREFIX = "whsec_"  # noqa: S105 - how secrets begin, not a secret
_SECRET_BYTES = 32
_LEAST_SECRET_BYTES = 24


class StatusChange(BaseModel):
    """What happened."""

    model_config = ConfigDict(frozen=True)

    version: int = Field(description="Number of the event; messages may arrive twice and in any order.")
    event: Event
    from_state: State | None = Field(serialization_alias="from")
    to_state: State = Field(serialization_alias="to")
    by: Source
    attempt: int
    reason: Reason | None
    timestamp: datetime


class NoticeMeeting(BaseModel):
    """The meeting as it is when the message is sent."""

    model_config = ConfigDict(frozen=True)

    id: int
    user_id: int
    platform: str
    native_meeting_id: str = Field(description="Empty if the meeting was deleted meanwhile.")
    bot_name: str
    status: State
    version: int
    attempt: int
    reason: Reason | None
    failure_stage: State | None
    join_at: datetime | None
    start_time: datetime | None
    end_time: datetime | None
    data: dict[str, Any] = Field(description="Totals, participants and languages, once the meeting is finished.")


class NoticeData(BaseModel):
    """The body of a message."""

    model_config = ConfigDict(frozen=True)

    meeting: NoticeMeeting
    status_change: StatusChange


class NoticeBody(BaseModel):
    """One message."""

    model_config = ConfigDict(frozen=True)

    event_id: str = Field(description="The same in every try, and in the header `webhook-id`.")
    event_type: NoticeType = NoticeType.STATUS_CHANGE
    api_version: str = API_VERSION
    created_at: datetime
    data: NoticeData


class PingData(BaseModel):
    """The body of a test."""

    model_config = ConfigDict(frozen=True)

    webhook_id: int


class PingBody(BaseModel):
    """A message that means nothing, sent when its user asks for one."""

    model_config = ConfigDict(frozen=True)

    event_id: str
    event_type: Literal["webhook.test"] = "webhook.test"
    api_version: str = API_VERSION
    created_at: datetime
    data: PingData


def notice_id(meeting_id: int, version: int, kind: NoticeType = NoticeType.STATUS_CHANGE) -> str:
    """Return the one id of the message of one kind about one event of one meeting."""
    message_id = f"msg_{meeting_id}_{version}"
    return message_id if kind is NoticeType.STATUS_CHANGE else f"{message_id}_{kind.replace('.', '_')}"


def new_secret() -> str:
    """Return a new secret to sign with."""
    return _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def is_secret(text: str) -> bool:
    """Say whether a text is a secret that can be signed with: `whsec_` and 24 bytes or more in base64."""
    return text.startswith(_SECRET_PREFIX) and len(_key(text)) >= _LEAST_SECRET_BYTES


def sign(
    secret: str, message_id: str, timestamp_s: int, body: bytes, *, old_secret: str | None = None
) -> dict[str, str]:
    """Return the headers that prove where a message comes from and when it was sent.

    With an old secret there are two signatures in `webhook-signature`, of which a receiver needs one.
    """
    dated = f"{timestamp_s}.".encode() + body
    signing = [secret] if old_secret is None else [secret, old_secret]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signature(each, message_id, timestamp_s, body) for each in signing),
        "X-Webhook-Timestamp": str(timestamp_s),
        "X-Webhook-Signature": "sha256=" + hmac.new(secret.encode(), dated, hashlib.sha256).hexdigest(),
    }


def signature(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the signature of one secret, with its version before it."""
    digest = hmac.new(_key(secret), f"{message_id}.{timestamp_s}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def _key(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error:
        return b""
