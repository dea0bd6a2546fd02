"""`/user`: what belongs to the caller."""

from fastapi import APIRouter

from usher.api.auth import ForWebhooks
from usher.api.problems import responses
from usher.protocol.rest import WebhookBody, WebhookRequest

router = APIRouter(prefix="/user", tags=["user"])


@router.put("/webhook", responses=responses())
async def put_webhook(body: WebhookRequest, call: ForWebhooks) -> WebhookBody:
    """Be told of every change of your meetings at a URL of yours. Keep the secret: it is shown this once.

    It is one of your webhooks; `/webhooks` has the others, and more to say about each.
    """
    webhook = await call.context.webhooks.put(call.user.user_id, body.webhook_url, body.webhook_secret)
    if webhook is None:
        return WebhookBody(webhook_url=None)
    return WebhookBody(webhook_url=webhook.url, webhook_secret=webhook.secret)


@router.get("/webhook", responses=responses())
async def get_webhook(call: ForWebhooks) -> WebhookBody:
    """Return where you are told of changes."""
    webhook = await call.context.store.find_webhook(call.user.user_id)
    return WebhookBody(webhook_url=None if webhook is None else webhook.url)
