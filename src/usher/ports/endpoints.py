"""Users' servers that are told of changes, and what became of each message to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from usher.domain.notices import NoticeType
from usher.ports.records import Webhook

MOST_ENDPOINTS = 16
"""Servers of one user; the one that `Webhooks.put_webhook` sets counts, and may be set beyond."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A user's server.

    Attributes:
        webhook: Its URL, and what messages are signed with.
        events: What it is told of.
        account: Whether it is the one that `Webhooks.put_webhook` sets.
        gone: Whether it is not enabled because it asked to be told nothing more.
    """

    webhook_id: int
    user_id: int
    webhook: Webhook
    events: frozenset[NoticeType]
    description: str
    enabled: bool
    account: bool
    gone: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """A server to be added."""

    webhook: Webhook
    events: frozenset[NoticeType] = frozenset({NoticeType.STATUS_CHANGE})
    description: str = ""
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """What is to be changed of a server; None is left as it is."""

    url: str | None = None
    events: frozenset[NoticeType] | None = None
    description: str | None = None
    enabled: bool | None = None


class Endpoints(Protocol):
    """The servers that users have named. While one is enabled, every change that it has chosen owes it a `notify`."""

    async def add_endpoint(self, user_id: int, new: NewEndpoint) -> Endpoint | None:
        """Add a server; None if the user has `MOST_ENDPOINTS`. Not idempotent.

        Raises:
            NotFound: `unknown_user`.
        """
        ...

    async def endpoints(self, user_id: int) -> Sequence[Endpoint]:
        """List a user's servers by id."""
        ...

    async def find_endpoint(self, webhook_id: int) -> Endpoint | None:
        """Return a server, whoever owns it."""
        ...

    async def change_endpoint(self, webhook_id: int, change: EndpointChange) -> Endpoint | None:
        """Change a server; None if there is none. Enabling one that was gone forgets that it was."""
        ...

    async def rotate_secret(self, webhook_id: int, secret: str, *, old_good_s: float) -> Endpoint | None:
        """Give a server a new secret; the one that it had signs, too, for so long. None if there is no such server."""
        ...

    async def endpoint_gone(self, webhook_id: int, was: Webhook) -> bool:
        """Disable a server that wants to be told nothing more; False if its URL or secret was changed meanwhile."""
        ...

    async def drop_endpoint(self, webhook_id: int) -> bool:
        """Forget a server and what was sent to it; False if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Message:
    """What one server is told of one change of a meeting."""

    webhook_id: int
    meeting_id: int
    version: int
    kind: NoticeType


class DeliveryStatus(StrEnum):
    """What became of a message."""

    DELIVERED = "delivered"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of a message, without what stood in it.

    Attributes:
        attempts: Tries since it was first sent, or since it was last replayed.
        status_code: Of the last answer; None if there was none.
        error: Why the last try failed; None if it did not.
        next_at: When it is due again; None if it is not.
    """

    delivery_id: int
    message: Message
    attempts: int
    status_code: int | None
    error: str | None
    first_at: datetime
    last_at: datetime
    delivered_at: datetime | None
    next_at: datetime | None

    @property
    def status(self) -> DeliveryStatus:
        """What became of it."""
        if self.delivered_at is not None:
            return DeliveryStatus.DELIVERED
        return DeliveryStatus.FAILED if self.next_at is None else DeliveryStatus.WAITING


class Deliveries(Protocol):
    """What became of messages, kept for as long as `Store.prune` is told to after the last try."""

    async def record_try(self, message: Message, *, status_code: int | None, error: str | None) -> int:
        """Put one try on record, delivered if `error` is None, and return how many there were since it began anew."""
        ...

    async def deliveries(self, webhook_id: int, *, limit: int, before_id: int | None = None) -> Sequence[Delivery]:
        """List what was sent to a server, newest first; with `before_id`, only what is older than that one."""
        ...

    async def replay(self, webhook_id: int, delivery_id: int) -> bool:
        """Owe a message once more, at once, with all its tries; False if the server was never sent such a one."""
        ...
