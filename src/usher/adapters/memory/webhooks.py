"""Users' servers in memory."""

from collections import deque

from usher.ports import Delivered, Notice, Undelivered, Webhook


class MemoryWebhookSender:
    """Keeps what is sent.

    Attributes:
        sent: What was accepted, oldest first; bounded.
        answers: What to answer instead, one after the other; when there is none left, everything is accepted.
    """

    def __init__(self) -> None:
        self.sent: deque[tuple[Webhook, Notice]] = deque(maxlen=10_000)
        self.answers: deque[Undelivered] = deque()

    async def send(self, webhook: Webhook, notice: Notice) -> Delivered | Undelivered:
        """Accept a message, or answer as told."""
        if self.answers:
            return self.answers.popleft()
        self.sent.append((webhook, notice))
        return Delivered()
