"""`/user`: what belongs to the caller."""

from fastapi import APIRouter

from usher.api.auth import ByUser
from usher.api.problems import responses
from usher.domain.errors import Invalid
from usher.ports import Webhook
from usher.protocol.rest import WebhookBody, WebhookRequest
from usher.protocol.webhook_urls import why_never
from usher.protocol.webhooks import is_secret, new_secret

router = APIRouter(prefix="/user", tags=["user"])


@router.put("/webhook", responses=responses())
async def put_webhook(body: WebhookRequest, call: ByUser) -> WebhookBody:
    """Be told of every change of your meetings at a URL of yours. Keep the secret: it is shown this once."""
    if body.webhook_url is None:
        await call.context.store.put_webhook(call.user.user_id, None)
        return WebhookBody(webhook_url=None)
    _require_url(body.webhook_url, allow_private=call.context.private_webhooks)
    if body.webhook_secret is not None and not is_secret(body.webhook_secret):
        raise Invalid("bad_webhook_secret", "A secret is `whsec_` and 24 bytes or more in base64. Or send none.")
    webhook = Webhook(body.webhook_url, body.webhook_secret or new_secret())
    await call.context.store.put_webhook(call.user.user_id, webhook)
    return WebhookBody(webhook_url=webhook.url, webhook_secret=webhook.secret)


@router.get("/webhook", responses=responses())
async def get_webhook(call: ByUser) -> WebhookBody:
    """Return where you are told of changes."""
    webhook = await call.context.store.find_webhook(call.user.user_id)
    return WebhookBody(webhook_url=None if webhook is None else webhook.url)


def _require_url(text: str, *, allow_private: bool) -> None:
    """Refuse what can never be sent to; what a name leads to is looked at before each message.

    Raises:
        Invalid: `bad_webhook_url`.
    """
    why = why_never(text, allow_private=allow_private)
    if why is not None:
        example = "One looks like https://example.com/usher."
        raise Invalid("bad_webhook_url", f"This cannot be a webhook's URL. {why} {example}")
