"""Messages to users' servers, which can never be made to reach inside."""

from usher.adapters.webhooks.sender import HttpWebhookSender

__all__ = ["HttpWebhookSender"]
