"""Calls an ASGI application without a network: what `httpx.ASGITransport` does, at a fraction of its time."""

from collections.abc import MutableMapping
from typing import Any

import httpx
from starlette.types import ASGIApp

_BUG = 500


async def serve(app: ASGIApp, request: httpx.Request) -> httpx.Response:
    """Let the application answer a request; an error in it is answered with 500, as a server does."""
    body, chunks = request.content, list[bytes]()
    head: dict[str, Any] = {"status": _BUG, "headers": []}

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            head.update(status=message["status"], headers=message.get("headers", []))
        else:
            chunks.append(message.get("body", b""))

    try:
        await app(_scope(request), receive, send)
    except Exception:  # noqa: BLE001 - the server's guard; whoever looks at the answer takes it for a bug
        return httpx.Response(_BUG, content=b"".join(chunks))
    return httpx.Response(head["status"], headers=head["headers"], content=b"".join(chunks))


def _scope(request: httpx.Request) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "root_path": "",
        "query_string": request.url.query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 1),
        "server": ("manager", 80),
    }
