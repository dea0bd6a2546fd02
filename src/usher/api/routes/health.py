"""`/health` and `/metrics`."""

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from usher import __version__
from usher.api.context import InContext
from usher.domain.errors import Unavailable
from usher.protocol.rest import Health

router = APIRouter(tags=["operation"])


@router.get("/health", responses={503: {"model": Health, "description": "Something does not answer"}})
async def health(context: InContext, response: Response) -> Health:
    """Say whether the manager and what it stands on answer."""
    database, redis = await asyncio.gather(_database(context), _redis(context))
    healthy = database and redis
    response.status_code = 200 if healthy else 503
    return Health(status="ok" if healthy else "degraded", database=database, redis=redis, version=__version__)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics() -> Response:
    """Return the metrics in Prometheus' text format."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _database(context: InContext) -> bool:
    try:
        await context.store.ping(timeout_s=2.0)
    except Unavailable:
        return False
    return True


async def _redis(context: InContext) -> bool:
    try:
        async with asyncio.timeout(2.0):
            await context.stream.backlog()
    except (Unavailable, TimeoutError):
        return False
    return True
