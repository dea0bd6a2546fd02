"""Users' servers, and how managers reach them."""

import json

from tests.explorer.faults import Boundaries, Lost
from tests.explorer.plans import Place
from tests.support.invariants import Delivery

from usher.adapters.memory.webhooks import MemoryWebhookSender
from usher.ports import Delivered, Notice, Undelivered, Webhook

WEBHOOK = Webhook("https://user.example/hook", "a secret for simulations only")


class Inbox:
    """What arrived."""

    def __init__(self) -> None:
        self.sender = MemoryWebhookSender()

    def deliveries(self) -> list[Delivery]:
        """Return everything that arrived, in order."""
        return [_delivery(notice) for _, notice in self.sender.sent]


class RemoteInbox:
    """A manager's way to the users' servers: a `WebhookSender`."""

    def __init__(self, inbox: Inbox, boundaries: Boundaries) -> None:
        self._inbox = inbox
        self._boundaries = boundaries

    async def send(self, webhook: Webhook, notice: Notice) -> Delivered | Undelivered:
        """Send one message."""
        try:
            return await self._boundaries.cross(
                Place.WEBHOOK, "webhook.send", lambda: self._inbox.sender.send(webhook, notice)
            )
        except Lost as error:
            return Undelivered(str(error))


def _delivery(notice: Notice) -> Delivery:
    data = json.loads(notice.body)["data"]
    return Delivery(notice.notice_id, data["meeting"]["id"], data["status_change"]["version"])
