"""The room as a FastAPI application that can be mounted under any prefix."""

import re
from pathlib import Path
from typing import Final

from fastapi import FastAPI, WebSocket
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles

from usher.room.limits import RoomLimits
from usher.room.rooms import Rooms
from usher.room.visit import Visit

_PAGE: Final = Path(__file__).parent / "page"
_ROOM_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{2,62}")
_HEADERS: Final = {
    # 'self' covers the WebSocket of the same host too. Source: CSP Level 3, section 6.7.2.8, scheme matching.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Permissions-Policy": "microphone=(self), camera=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def is_room_id(room_id: str) -> bool:
    """Whether this may name a room: 3 to 63 lower-case letters, digits and inner or trailing hyphens."""
    return _ROOM_ID.fullmatch(room_id) is not None


def room_app(limits: RoomLimits | None = None) -> FastAPI:
    """Build the application: ``GET /{room_id}`` is the page, ``/{room_id}/signal`` its WebSocket.

    Each call has rooms of its own. It needs no lifespan, so it works mounted in another application. Run it with one
    worker: rooms live in the memory of the process.

    Args:
        limits: Bounds of the service; the defaults of `RoomLimits` when left out.
    """
    bounds = limits or RoomLimits()
    rooms = Rooms(bounds)
    app = FastAPI(title="Usher room", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/{room_id}")
    async def page(room_id: str) -> FileResponse:
        if is_room_id(room_id):
            return FileResponse(_PAGE / "room.html", headers=_HEADERS)
        return FileResponse(_PAGE / "no-such-room.html", status_code=404, headers=_HEADERS)

    @app.websocket("/{room_id}/signal")
    async def signal(websocket: WebSocket, room_id: str) -> None:
        if is_room_id(room_id):
            await Visit(websocket, room_id, rooms, bounds).run()
        else:
            await websocket.close(1008)

    # No room can have this name: ids do not begin with an underscore.
    app.mount("/_page", StaticFiles(directory=_PAGE), name="page")
    return app
