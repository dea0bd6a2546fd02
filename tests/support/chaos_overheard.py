"""What a scripted bot and its managers say to each other, noted in the bot's diary."""

import itertools
import json
import time
from typing import Any

import httpx
import structlog

diary = structlog.get_logger("diary")


class WatchedTransport(httpx.AsyncHTTPTransport):
    """Notes what is said before it is sent, and what the manager answers before anybody acts on it."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count(1)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and note both."""
        report = request.url.path.partition("/internal/bots/")[2].partition("/")[2]
        if request.method != "POST":
            return await super().handle_async_request(request)
        if report == "heartbeat":
            answer = await super().handle_async_request(request)
            for mark in (await _body(answer)).get("stored", ()):
                diary.info("confirmed", segment_id=mark["segment_id"], revision=mark["revision"])
            return answer
        return await self._report(request, f"{report}#{json.loads(request.content).get('seq', 0)}")

    async def _report(self, request: httpx.Request, report: str) -> httpx.Response:
        said, sent_s = next(self._numbers), time.monotonic()
        diary.info("said_to_manager", said=said, report=report, sent_s=sent_s)
        answer = await super().handle_async_request(request)
        outcome = (await _body(answer)).get("outcome", "")
        diary.info(
            "answered",
            said=said,
            report=report,
            status=answer.status_code,
            outcome=outcome,
            arrived_s=sent_s,
            answered_s=time.monotonic(),
        )
        return answer


async def _body(answer: httpx.Response) -> dict[str, Any]:
    body = await answer.aread()
    said: dict[str, Any] = json.loads(body) if body.startswith(b"{") else {}
    return said
