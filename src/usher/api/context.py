"""What the routes work with, put together by `usher.bootstrap`."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from usher.api.keys import KeyCache
from usher.api.rates import Rates
from usher.app.bots import Bots
from usher.app.recordings import RecordingDesk
from usher.app.reports import Reports
from usher.app.webhooks import WebhookDesk
from usher.domain.meeting import Homes
from usher.ports import Feed, SegmentStream, Store


@dataclass(frozen=True, slots=True)
class Context:
    """The use cases and ports behind the API.

    Attributes:
        homes: Where this installation's own platforms are.
        admin_token: Token of the Admin API, or None to keep it closed.
        rates: How many requests each key may make; None for any number.
    """

    store: Store
    bots: Bots
    reports: Reports
    recordings: RecordingDesk
    webhooks: WebhookDesk
    feed: Feed
    stream: SegmentStream
    keys: KeyCache
    homes: Homes
    admin_token: str | None = field(default=None, repr=False)
    rates: Rates | None = None


async def get_context(connection: HTTPConnection) -> Context:
    """Return the context of the application that serves this request.

    Async, although it waits for nothing: FastAPI hands every other function to a thread, and `lean` takes no other.
    """
    context: Context = connection.app.state.context
    return context


InContext = Annotated[Context, Depends(get_context)]
