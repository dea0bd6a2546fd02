"""`/ws`: live status, transcripts and chat of many meetings over one WebSocket.

After `subscribed` a viewer first gets the present state and everything said so far, or what it missed since its cursor,
then what comes. If it reads too slowly for its bounded queues, what was dropped is read from the store; if it does not
read at all, it is cut off.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from usher.api.context import Context, get_context
from usher.api.cursors import Cursor
from usher.api.following import Follower
from usher.api.tickets import owner_of
from usher.domain.errors import Forbidden, NotAllowed, NotFound, Unavailable
from usher.domain.scopes import Scope
from usher.ports import Meeting, User
from usher.protocol.live import REQUEST, MeetingName, Ping, Subscribe, WantedMeeting
from usher.telemetry import LIVE_VIEWERS

log = structlog.get_logger(__name__)

router = APIRouter()

_MOST_MEETINGS = 500
_MOST_FRAMES = 1000
_SEND_TIMEOUT_S = 30.0
_GOODBYE_S = 5.0
_CLOSE_NOT_ALLOWED = 4401
_CLOSE_FORBIDDEN = 4403
_CLOSE_UNAVAILABLE = 4503


@router.websocket("/ws")
async def live(socket: WebSocket) -> None:
    """Serve one viewer."""
    await socket.accept()
    context = await get_context(socket)
    try:
        ticket = socket.query_params.get("ticket")
        key = socket.headers.get("x-api-key")
        user = await context.keys.user_of(key, Scope.READ) if ticket is None else await owner_of(context, ticket)
    except NotAllowed as error:
        await _close(socket, error.code, _CLOSE_NOT_ALLOWED)
        return
    except Forbidden as error:
        await _close(socket, error.code, _CLOSE_FORBIDDEN)
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


@dataclass(frozen=True, slots=True)
class _Followed:
    """A meeting that is followed, as the viewer named it."""

    name: MeetingName
    task: asyncio.Task[None]


class _Viewer:
    """One open WebSocket: a task that sends, one that listens, and one for each meeting that is followed."""

    def __init__(self, socket: WebSocket, context: Context, user: User) -> None:
        self._socket = socket
        self._context = context
        self._user = user
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_MOST_FRAMES)
        self._followed: dict[int, _Followed] = {}
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
                for followed in self._followed.values():
                    followed.task.cancel()

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

    async def _subscribe(self, wanted: list[WantedMeeting]) -> None:
        """Follow meetings; those that are followed already go on as they do."""
        found: list[tuple[WantedMeeting, Meeting]] = []
        for name in wanted:
            meeting = await self._find(name)
            if meeting is None or len(self._followed) + len(found) >= _MOST_MEETINGS:
                why = "unknown_meeting" if meeting is None else "too_many_meetings"
                await self._out.put({"type": "error", "error": why, "meeting": _plain(name)})
            else:
                found.append((name, meeting))
        await self._out.put(
            {"type": "subscribed", "meetings": [_tag(name, meeting.meeting_id) for name, meeting in found]}
        )
        for name, meeting in found:
            if meeting.meeting_id not in self._followed:
                task = self._tasks.create_task(self._follow(meeting, name.cursor))
                self._followed[meeting.meeting_id] = _Followed(name, task)

    async def _unsubscribe(self, names: list[MeetingName]) -> None:
        """Follow no more what goes by these names, whichever visit it is."""
        wanted = {(name.platform, name.native_id) for name in names}
        left = {
            meeting_id: followed
            for meeting_id, followed in self._followed.items()
            if (followed.name.platform, followed.name.native_id) in wanted
        }
        for meeting_id, followed in left.items():
            followed.task.cancel()
            del self._followed[meeting_id]
        await self._out.put(
            {"type": "unsubscribed", "meetings": [_tag(followed.name, each) for each, followed in left.items()]}
        )

    async def _find(self, wanted: WantedMeeting) -> Meeting | None:
        """Return the visit that the cursor is about, or else the newest to that call."""
        bots, user_id, cursor = self._context.bots, self._user.user_id, Cursor.read(wanted.cursor)
        if cursor is not None:
            with suppress(NotFound):
                meeting = await bots.get_by_id(user_id, cursor.meeting_id)
                if _goes_by(meeting, wanted):
                    return meeting
        try:
            return await bots.get(user_id, wanted.platform, wanted.native_id)
        except NotFound:
            return None

    async def _follow(self, meeting: Meeting, cursor: str | None) -> None:
        follower = Follower(self._context.store, self._context.feed, meeting, cursor)
        async with follower.following() as frames:
            async for frame in frames:
                await self._out.put(frame)

    async def _send(self) -> None:
        while True:
            frame = await self._out.get()
            async with asyncio.timeout(_SEND_TIMEOUT_S):
                await self._socket.send_json(frame)


def _goes_by(meeting: Meeting, name: MeetingName) -> bool:
    """Say whether a meeting has that name; one that was deleted has none any more."""
    same_call = meeting.redacted or meeting.ref.native_id == name.native_id
    return meeting.ref.platform is name.platform and same_call


def _plain(name: MeetingName) -> dict[str, Any]:
    return {"platform": name.platform.value, "native_id": name.native_id}


def _tag(name: MeetingName, meeting_id: int) -> dict[str, Any]:
    return {**_plain(name), "meeting_id": meeting_id}


def _complaint(error: ValidationError) -> str:
    kinds = {found["type"] for found in error.errors()}
    if "json_invalid" in kinds:
        return "invalid_json"
    return "unknown_action" if kinds & {"union_tag_invalid", "union_tag_not_found"} else "invalid_request"
