"""Telling users' servers of changes."""

from dataclasses import dataclass, field
from typing import Protocol

from usher.ports.records import Webhook


@dataclass(frozen=True, slots=True)
class Notice:
    """One message to a webhook.

    Attributes:
        notice_id: The same in every try of the same message.
        body: JSON, exactly as it is signed and sent.
    """

    notice_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivered:
    """The server has accepted the message.

    Attributes:
        status_code: Of its answer.
    """

    status_code: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Undelivered:
    """The server has not accepted the message, or could not be reached, or may not be.

    Attributes:
        why: For people; names no address and no content.
        unwanted: The server asks never to be told anything again.
        lasting: It will not pass by itself: somebody has to change the server, its name, or the URL.
        retry_after_s: The server asks not to be tried before.
        status_code: Of its answer; None if there was none.
    """

    why: str
    unwanted: bool = False
    lasting: bool = False
    retry_after_s: float = 0.0
    status_code: int | None = field(default=None, compare=False)


class WebhookSender(Protocol):
    """Sends messages to users' servers. Never raises: what goes wrong is an answer."""

    async def send(self, webhook: Webhook, notice: Notice) -> Delivered | Undelivered:
        """Make one try, within seconds."""
        ...
