"""`GET /meetings/{id}/live`: the live frames of one meeting as server-sent events.

The frames are those of `/ws`, and the id of an event is the frame's cursor: a browser that connects again sends it by
itself. Nothing is held for a viewer here: the next frame is fetched when the last one is on its way.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from starlette.types import Receive, Scope, Send

from usher.api.following import Follower, Frame
from usher.api.problems import responses
from usher.api.tickets import ByViewer
from usher.domain.errors import Unavailable
from usher.telemetry import LIVE_VIEWERS

log = structlog.get_logger(__name__)

router = APIRouter(tags=["meetings"])

_HEARTBEAT_S = 15.0
_SEND_TIMEOUT_S = 30.0
_RETRY = b"retry: 1000\n\n"
_HEARTBEAT = b": still here\n\n"
_MEDIA_TYPE = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "The frames, as they come", "content": {_MEDIA_TYPE: {"schema": {"type": "string"}}}}
}


class EventStream(Response):
    """An answer that lasts until the viewer goes, does not read for half a minute, or the server ends.

    What fails before its first byte is answered as a problem; later, by an error frame and the end.

    Args:
        follower: Whose frames.
        closing: Set when the server ends.
    """

    media_type = _MEDIA_TYPE

    def __init__(self, follower: Follower, closing: asyncio.Event) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._follower = follower
        self._closing = closing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, which lasts."""
        del scope
        async with self._follower.following() as frames:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            telling = asyncio.ensure_future(self._tell(frames, send))
            leaving = {asyncio.ensure_future(_gone(receive)), asyncio.ensure_future(self._closing.wait())}
            with LIVE_VIEWERS.track_inprogress():
                try:
                    await asyncio.wait({telling, *leaving}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for task in (telling, *leaving):
                        task.cancel()
                    await asyncio.wait({telling, *leaving})
        if telling.cancelled() or telling.result():
            with suppress(TimeoutError):
                await _send(send, b"", more=False)

    async def _tell(self, frames: AsyncIterator[Frame], send: Send) -> bool:
        """Send frames, and signs of life where there are none; return whether the viewer still reads."""
        try:
            await _send(send, _RETRY)
            async with aclosing(_with_heartbeats(frames)) as blocks:
                async for block in blocks:
                    await _send(send, block)
        except TimeoutError:
            log.info("viewer_dropped", why="too slow")
            return False
        except Unavailable as error:
            log.warning("viewer_dropped", why=str(error))
            with suppress(TimeoutError):
                await _send(send, _block({"type": "error", "error": "unavailable"}))
        return True


@router.get(
    "/meetings/{meeting_id}/live", status_code=200, response_class=EventStream, responses={**_STREAM, **responses(404)}
)
async def follow_meeting(
    meeting_id: int,
    call: ByViewer,
    request: Request,
    cursor: Annotated[str | None, Query(max_length=200, description="Go on after the frame with that cursor.")] = None,
    last_event_id: Annotated[
        str | None, Header(description="The same; browsers send it when they connect again.")
    ] = None,
) -> EventStream:
    """Follow one of your meetings live, as server-sent events: the present state, or what you missed, then what comes.

    The data of an event is a frame as on `/ws`, its id is the frame's cursor.
    """
    context = call.context
    meeting = await context.bots.get_by_id(call.user.user_id, meeting_id)
    follower = Follower(context.store, context.feed, meeting, last_event_id or cursor)
    return EventStream(follower, getattr(request.app.state, "closing", None) or asyncio.Event())


async def _with_heartbeats(frames: AsyncIterator[Frame]) -> AsyncGenerator[bytes]:
    """Yield each frame as an event, and a comment where there is none for a while."""
    coming: asyncio.Future[Frame | None] | None = None
    try:
        while True:
            coming = coming or asyncio.ensure_future(anext(frames, None))
            await asyncio.wait({coming}, timeout=_HEARTBEAT_S)
            if not coming.done():
                yield _HEARTBEAT
                continue
            frame, coming = coming.result(), None
            if frame is None:
                return
            yield _block(frame)
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.wait({coming})


def _block(frame: Frame) -> bytes:
    """Return an event. JSON has no line breaks, so one line is all of it."""
    cursor = frame.get("cursor")
    position = f"id: {cursor}\n" if cursor else ""
    return f"{position}data: {json.dumps(frame, separators=(',', ':'))}\n\n".encode()


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(_SEND_TIMEOUT_S):
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def _gone(receive: Receive) -> None:
    """Return when the viewer has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
