"""The application: routes, errors, headers, limits on bodies."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from usher import __version__
from usher.api import live, problems, rates, stream, tickets
from usher.api.admin import fleet, tokens, users
from usher.api.auth import RATE, SCHEMES, SCOPES
from usher.api.context import Context
from usher.api.lean import lean
from usher.api.routes import (
    bots,
    chat,
    evidence,
    health,
    internal,
    meetings,
    recordings,
    shares,
    transcripts,
    user,
    webhooks,
)
from usher.protocol.evidence import MOST_BODY_BYTES

_DESCRIPTION = (
    "Send a bot into a meeting with one call; its transcript streams back live, and its state is always true. "
    "Errors are problem details (RFC 9457): `detail` says what to change, `code` is for programs."
)
_MODULES = (
    bots,
    chat,
    internal,
    meetings,
    transcripts,
    shares,
    evidence,
    recordings,
    user,
    webhooks,
    users,
    tokens,
    fleet,
    health,
    live,
    stream,
    tickets,
)
_ROUTES = [route for module in _MODULES for route in module.router.routes]
_OFTEN = ("/internal/bots/{connection_id}/heartbeat", "/bots")
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
_BODY_LIMIT_BYTES = 256 * 1024
_LARGER_BODIES = {"evidence": MOST_BODY_BYTES}
"""Limits of callbacks of bots that need more, by the last part of their path."""
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_NO_STORE = (b"cache-control", b"no-store")
_EXPOSED = ("Retry-After", "Idempotent-Replayed", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_MOST_CORS_AGE_S = 600
_SCHEME_OF_TAG = {
    "bots": "ApiKey",
    "meetings": "ApiKey",
    "live": "ApiKey",
    "recordings": "ApiKey",
    "user": "ApiKey",
    "webhooks": "ApiKey",
    "admin": "AdminKey",
    "bots' callbacks": "BotToken",
}


def create_app(
    context: Context | None = None, *, rooms: ASGIApp | None = None, cors_origins: Sequence[str] = ()
) -> FastAPI:
    """Return the manager's application.

    Args:
        context: The use cases behind it; None only to describe the API.
        rooms: The application of the built-in meeting platform, mounted at `/room`.
        cors_origins: Origins of web pages that may call the API; none by default.
    """
    app = FastAPI(title="Usher", version=__version__, description=_DESCRIPTION, telemetry=_NO_TELEMETRY)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]  # FastAPI's own way to extend the document
    _furnish(app, _ROUTES, context, rooms)
    if cors_origins:
        # Keys travel in headers and never in cookies, so browsers need not send credentials.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=_EXPOSED,
            max_age=_MOST_CORS_AGE_S,
        )
    return app


def create_bots_app(context: Context, *, rooms: ASGIApp | None = None) -> FastAPI:
    """Return what bots need of the manager, and nothing else: for a network from which the API is out of reach."""
    app = FastAPI(title="Usher, for bots", openapi_url=None, telemetry=_NO_TELEMETRY)
    return _furnish(app, internal.router.routes, context, rooms)


def _furnish(app: FastAPI, routes: Sequence[BaseRoute], context: Context | None, rooms: ASGIApp | None) -> FastAPI:
    app.state.context = context
    # Not include_router: FastAPI matches an included router's routes a second time for each request. Routes are tried
    # one after the other, so those that are asked for most come first.
    app.router.routes[:0] = sorted(map(lean, routes), key=lambda route: getattr(route, "path", None) not in _OFTEN)
    problems.install(app)
    app.add_middleware(_Edge)
    if rooms is not None:
        app.mount("/room", rooms)
    return app


def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of the API."""
    return create_app().openapi()


def _describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, with who may call what."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=_ROUTES)
        document.setdefault("components", {})["securitySchemes"] = SCHEMES
        for operation in (o for path in document["paths"].values() for o in path.values()):
            schemes = [_SCHEME_OF_TAG[tag] for tag in operation.get("tags", ()) if tag in _SCHEME_OF_TAG]
            operation["security"] = [{scheme: []} for scheme in schemes]
        _describe_scopes(document["paths"])
        app.openapi_schema = document
    return app.openapi_schema


def _describe_scopes(paths: dict[str, Any]) -> None:
    """Say of each operation for users which scope its key needs, and how another key, or too much of it, is refused."""
    for route in (route for route in _ROUTES if isinstance(route, APIRoute)):
        scopes = [SCOPES[each.call] for each in route.dependant.dependencies if each.call in SCOPES]
        for method in (route.methods or ()) if scopes else ():
            operation = paths[route.path_format][method.lower()]
            operation["security"] = [{"ApiKey": [scope for scope in scopes if scope]}]
            for status in (403, 429):
                described = {**operation["responses"]["401"], "description": problems.PROBLEMS[status]["description"]}
                operation["responses"].setdefault(str(status), described)


def _limit_bytes(path: str) -> int:
    """Return how long the body of a request may be."""
    if not path.startswith("/internal/bots/"):
        return _BODY_LIMIT_BYTES
    return _LARGER_BODIES.get(path.rpartition("/")[2], _BODY_LIMIT_BYTES)


class _Edge:
    """Adds security headers to every answer and bounds the body; FastAPI's own bound answers in plain text."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                standing = scope.get(RATE)
                rate = () if standing is None else rates.headers(standing)
                message["headers"] = [*message.get("headers", ()), *_HEADERS, *rate]
                said = any(name.lower() == b"cache-control" for name, _ in message["headers"])
                if not said and not scope["path"].startswith("/room"):
                    message["headers"].append(_NO_STORE)
            await send(message)

        received, limit_bytes = 0, _limit_bytes(scope["path"])

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit_bytes:
                raise HTTPException(413, f"A body has {limit_bytes // 1024} KiB at most")
            return message

        await self._app(scope, limited, with_headers)
