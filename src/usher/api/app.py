"""The application: routes, errors, headers, limits on bodies."""

from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from usher import __version__
from usher.api import live, problems
from usher.api.admin import users
from usher.api.context import Context
from usher.api.routes import bots, health, internal, meetings

_DESCRIPTION = (
    "Send a bot into a meeting with one call; its transcript streams back live, and its state is always true. "
    "Errors are problem details (RFC 9457): `detail` says what to change, `code` is for programs."
)
_BODY_LIMIT_BYTES = 256 * 1024
_HEADERS = ((b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer"))


def create_app(context: Context | None = None, *, rooms: ASGIApp | None = None) -> FastAPI:
    """Return the manager's application.

    Args:
        context: The use cases behind it; None only to describe the API.
        rooms: The application of the built-in meeting platform, mounted at `/room`.
    """
    app = FastAPI(title="Usher", version=__version__, description=_DESCRIPTION)
    app.state.context = context
    for module in (bots, meetings, users, internal, health, live):
        app.include_router(module.router)
    problems.install(app)
    app.add_middleware(_Edge)
    if rooms is not None:
        app.mount("/room", rooms)
    return app


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of the API."""
    return create_app().openapi()


class _Edge:
    """Refuses bodies over the limit and adds security headers, without touching streaming."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > _BODY_LIMIT_BYTES:
                return {"type": "http.disconnect"}
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        length = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        if not length.isdigit() or int(length) > _BODY_LIMIT_BYTES:
            await problems.too_large(_BODY_LIMIT_BYTES)(scope, receive, with_headers)
            return
        await self._app(scope, limited, with_headers)
