"""`/webhooks`: servers of the caller's that are told of changes."""

from typing import Annotated

from fastapi import APIRouter, Query

from usher.api.auth import ForWebhooks
from usher.api.pages import MOST_ID, Id, Limit, page_of
from usher.api.problems import responses
from usher.app.webhooks import OLD_SECRET_GOOD_S
from usher.ports import Delivery, Endpoint, EndpointChange, Undelivered
from usher.protocol.endpoints import (
    DeliveryBody,
    DeliveryList,
    EndpointBody,
    NewWebhook,
    NewWebhookRequest,
    WebhookList,
    WebhookSecret,
    WebhookTested,
    WebhookUpdate,
)
from usher.protocol.webhooks import notice_id

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


@router.get("", responses=responses())
async def list_webhooks(call: ForWebhooks) -> WebhookList:
    """List your webhooks, without their secrets."""
    found = await call.context.webhooks.list_all(call.user.user_id)
    return WebhookList(webhooks=[_body(endpoint) for endpoint in found])


@router.post("", status_code=201, responses=responses(429))
async def add_webhook(body: NewWebhookRequest, call: ForWebhooks) -> NewWebhook:
    """Be told of changes of your meetings at a URL of yours. Keep the secret: it is shown this once."""
    desk, events = call.context.webhooks, frozenset(body.events)
    added = await desk.add(call.user.user_id, body.url, events, body.description)
    return NewWebhook(**_body(added).model_dump(), secret=added.webhook.secret)


@router.get("/{webhook_id}", responses=responses(404))
async def get_webhook(webhook_id: Id, call: ForWebhooks) -> EndpointBody:
    """Return one of your webhooks, without its secret."""
    return _body(await call.context.webhooks.get(call.user.user_id, webhook_id))


@router.patch("/{webhook_id}", responses=responses(404))
async def change_webhook(webhook_id: Id, body: WebhookUpdate, call: ForWebhooks) -> EndpointBody:
    """Change a webhook. One that was disabled because its server answered 410 is enabled again by `enabled`."""
    events = None if body.events is None else frozenset(body.events)
    change = EndpointChange(body.url, events, body.description, body.enabled)
    return _body(await call.context.webhooks.change(call.user.user_id, webhook_id, change))


@router.delete("/{webhook_id}", status_code=204, responses=responses(404))
async def delete_webhook(webhook_id: Id, call: ForWebhooks) -> None:
    """Take a webhook away. What it was still owed is not sent."""
    await call.context.webhooks.drop(call.user.user_id, webhook_id)


@router.post("/{webhook_id}/secret", responses=responses(404))
async def rotate_webhook_secret(webhook_id: Id, call: ForWebhooks) -> WebhookSecret:
    """Get a new secret. For a day messages carry two signatures, by the new one and by the one before."""
    rotated = await call.context.webhooks.rotate(call.user.user_id, webhook_id)
    return WebhookSecret(secret=rotated.webhook.secret, old_secret_good_s=int(OLD_SECRET_GOOD_S))


@router.post("/{webhook_id}/test", responses=responses(404, 429))
async def try_webhook(webhook_id: Id, call: ForWebhooks) -> WebhookTested:
    """Send a `webhook.test` now, once, and say what the server answered."""
    message_id, outcome = await call.context.webhooks.test(call.user.user_id, webhook_id)
    failed = outcome if isinstance(outcome, Undelivered) else None
    return WebhookTested(
        message_id=message_id,
        delivered=failed is None,
        status_code=outcome.status_code,
        error=None if failed is None else failed.why,
    )


@router.get("/{webhook_id}/deliveries", responses=responses(404))
async def list_deliveries(
    webhook_id: Id,
    call: ForWebhooks,
    limit: Limit = 100,
    before_id: Annotated[int | None, Query(ge=1, le=MOST_ID, description="Only older ones than this.")] = None,
) -> DeliveryList:
    """List what was sent to a webhook in the last seven days, newest first."""
    desk = call.context.webhooks
    found = await desk.deliveries(call.user.user_id, webhook_id, limit=limit + 1, before_id=before_id)
    shown, more = page_of(found, limit, lambda one: one.delivery_id)
    return DeliveryList(deliveries=[_delivery(one) for one in shown], next_before_id=more)


@router.post("/{webhook_id}/deliveries/{delivery_id}/replay", status_code=204, responses=responses(404))
async def replay_delivery(webhook_id: Id, delivery_id: Id, call: ForWebhooks) -> None:
    """Send a message once more, under the same id, whether it was taken or not."""
    await call.context.webhooks.replay(call.user.user_id, webhook_id, delivery_id)


def _body(endpoint: Endpoint) -> EndpointBody:
    return EndpointBody(
        id=endpoint.webhook_id,
        url=endpoint.webhook.url,
        events=sorted(endpoint.events),
        description=endpoint.description,
        enabled=endpoint.enabled,
        gone=endpoint.gone,
        account=endpoint.account,
        created_at=endpoint.created_at,
    )


def _delivery(one: Delivery) -> DeliveryBody:
    told = one.message
    return DeliveryBody(
        id=one.delivery_id,
        message_id=notice_id(told.meeting_id, told.version, told.kind),
        event_type=told.kind,
        meeting_id=told.meeting_id,
        version=told.version,
        status=one.status,
        attempts=one.attempts,
        status_code=one.status_code,
        error=one.error,
        first_at=one.first_at,
        last_at=one.last_at,
        delivered_at=one.delivered_at,
        next_at=one.next_at,
    )
