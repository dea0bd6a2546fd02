"""`/ws`: live status, transcripts and chat of many meetings over one WebSocket.

After `subscribed` a viewer first gets the present state and everything said so far, then what comes; if it reads too
slowly for its bounded queue it gets the present state again instead of the frames that were dropped.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from usher.api.context import Context, get_context
from usher.app.chat import chat_frame
from usher.app.collector import transcript_frame
from usher.app.transitions import status_frame
from usher.domain.errors import NotAllowed, NotFound, Unavailable
from usher.ports import Json, Meeting, User
from usher.protocol.live import REQUEST, MeetingName, Ping, Subscribe, dump
from usher.telemetry import LIVE_VIEWERS

log = structlog.get_logger(__name__)

router = APIRouter()

_MOST_MEETINGS = 500
_MOST_FRAMES = 1000
_SEND_TIMEOUT_S = 30.0
_GOODBYE_S = 5.0
_CLOSE_NOT_ALLOWED = 4401
_CLOSE_UNAVAILABLE = 4503


@router.websocket("/ws")
async def live(socket: WebSocket) -> None:
    """Serve one viewer."""
    await socket.accept()
    context = await get_context(socket)
    try:
        user = await context.keys.user_of(socket.headers.get("x-api-key"))
    except NotAllowed as error:
        await _close(socket, error.code, _CLOSE_NOT_ALLOWED)
        return
    except Unavailable:
        await _close(socket, "auth_unavailable", _CLOSE_UNAVAILABLE)
        return
    LIVE_VIEWERS.inc()
    try:
        async with _Viewer(socket, context, user).serving() as viewer:
            await viewer.listen()
    except* WebSocketDisconnect:
        pass
    except* TimeoutError:
        log.info("viewer_dropped", why="too slow")
    except* Unavailable as group:
        log.warning("viewer_dropped", why=str(group.exceptions[0]))
        await _close(socket, "unavailable", _CLOSE_UNAVAILABLE)
    finally:
        LIVE_VIEWERS.dec()


async def _close(socket: WebSocket, error: str, code: int) -> None:
    """Say goodbye, if somebody is there to hear it."""
    with suppress(WebSocketDisconnect, TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await socket.send_json({"type": "error", "error": error})
            await socket.close(code)


class _Viewer:
    """One open WebSocket: a task that sends, one that listens, and one for each meeting that is followed."""

    def __init__(self, socket: WebSocket, context: Context, user: User) -> None:
        self._socket = socket
        self._context = context
        self._user = user
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_MOST_FRAMES)
        self._followed: dict[int, asyncio.Task[None]] = {}
        self._tasks = asyncio.TaskGroup()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["_Viewer"]:
        """Send in the background until left."""
        async with self._tasks:
            sender = self._tasks.create_task(self._send())
            try:
                yield self
            finally:
                sender.cancel()
                for task in self._followed.values():
                    task.cancel()

    async def listen(self) -> None:
        """Carry out what the viewer asks for until it goes."""
        while True:
            text = await self._socket.receive_text()
            try:
                request = REQUEST.validate_json(text)
            except ValidationError as error:
                await self._out.put({"type": "error", "error": _complaint(error)})
                continue
            if isinstance(request, Ping):
                await self._out.put({"type": "pong"})
            elif isinstance(request, Subscribe):
                await self._subscribe(request.meetings)
            else:
                await self._unsubscribe(request.meetings)

    async def _subscribe(self, names: list[MeetingName]) -> None:
        found: list[Meeting] = []
        for name in names:
            meeting = await self._find(name)
            if meeting is None or len(self._followed) + len(found) >= _MOST_MEETINGS:
                why = "unknown_meeting" if meeting is None else "too_many_meetings"
                await self._out.put({"type": "error", "error": why, "meeting": name.model_dump(mode="json")})
            else:
                found.append(meeting)
        await self._out.put({"type": "subscribed", "meetings": [_tag(meeting) for meeting in found]})
        for meeting in found:
            if meeting.meeting_id not in self._followed:
                self._followed[meeting.meeting_id] = self._tasks.create_task(self._follow(meeting.meeting_id))

    async def _unsubscribe(self, names: list[MeetingName]) -> None:
        meetings = [meeting for name in names if (meeting := await self._find(name))]
        for meeting in meetings:
            task = self._followed.pop(meeting.meeting_id, None)
            if task is not None:
                task.cancel()
        await self._out.put({"type": "unsubscribed", "meetings": [_tag(meeting) for meeting in meetings]})

    async def _find(self, name: MeetingName) -> Meeting | None:
        try:
            return await self._context.bots.get(self._user.user_id, name.platform, name.native_id)
        except NotFound:
            return None

    async def _follow(self, meeting_id: int) -> None:
        """Listen first, then tell the present state: nothing that happens in between is missed.

        A gap (frames dropped here, a connection to Redis that was lost, or a version that never came) is healed by
        telling the present state again.
        """
        async with self._context.feed.subscribe(meeting_id) as subscription:
            version, lost = await self._tell_present(meeting_id), 0
            async for frame in subscription:
                now = _version(frame)
                if not frame or subscription.lost > lost or (now is not None and now > version + 1):
                    lost = subscription.lost
                    version = await self._tell_present(meeting_id)
                elif now is None or now > version:
                    version = now or version
                    await self._out.put(dict(frame))

    async def _tell_present(self, meeting_id: int) -> int:
        """Tell the state and everything said and written so far; return the version that was told."""
        meeting = await self._context.store.find(meeting_id)
        if meeting is None:
            return 0
        await self._out.put(dump(status_frame(meeting)))
        segments = await self._context.store.segments(meeting_id)
        if segments:
            await self._out.put(dump(transcript_frame(meeting_id, segments)))
        messages = await self._context.store.chat(meeting_id)
        if messages:
            await self._out.put(dump(chat_frame(meeting_id, messages)))
        return meeting.version

    async def _send(self) -> None:
        while True:
            frame = await self._out.get()
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                await self._socket.send_json(frame)


def _version(frame: Json) -> int | None:
    """Return the meeting's version that a status frame tells; None for other frames."""
    return int(frame["payload"]["version"]) if frame.get("type") == "meeting.status" else None


def _tag(meeting: Meeting) -> dict[str, Any]:
    return {
        "platform": meeting.ref.platform.value,
        "native_id": meeting.ref.native_id,
        "meeting_id": meeting.meeting_id,
    }


def _complaint(error: ValidationError) -> str:
    kinds = {found["type"] for found in error.errors()}
    if "json_invalid" in kinds:
        return "invalid_json"
    return "unknown_action" if kinds & {"union_tag_invalid", "union_tag_not_found"} else "invalid_request"
