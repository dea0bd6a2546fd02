"""Which routes are lean, which stay with FastAPI, and when a lean one hands over."""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Body, Cookie, Depends, FastAPI, Header, Response
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute
from starlette.types import Message

from usher.api import live, stream
from usher.api.admin import tokens, users
from usher.api.lean import lean
from usher.api.routes import bots, health, internal, meetings, user
from usher.protocol.reports import ReportAnswer, Started

MODULES = (bots, internal, meetings, user, users, tokens, health, live, stream)


def test_every_route_is_planned_but_these() -> None:
    routes = [route for module in MODULES for route in module.router.routes]
    unplanned = [getattr(route, "path", None) for route in routes if lean(route) is route]
    assert unplanned == ["/admin/users/{user_id}/tokens", "/metrics", "/ws", "/meetings/{meeting_id}/live"]


def not_async(body: Started) -> ReportAnswer:
    return ReportAnswer(outcome="applied", detail=str(body))


async def two_bodies(one: Started, two: Started) -> ReportAnswer:
    return ReportAnswer(outcome="applied", detail=f"{one} {two}")


async def embedded(body: Annotated[Started, Body(embed=True)]) -> ReportAnswer:
    return ReportAnswer(outcome="applied", detail=str(body))


async def no_model(body: dict[str, int]) -> ReportAnswer:
    return ReportAnswer(outcome="applied", detail=str(body))


async def cookie(crumb: Annotated[str, Cookie()]) -> ReportAnswer:
    return ReportAnswer(outcome="applied", detail=crumb)


async def background(tasks: BackgroundTasks) -> ReportAnswer:
    return ReportAnswer(outcome="applied", detail=str(tasks))


async def response() -> PlainTextResponse:
    return PlainTextResponse("by itself")


async def opened() -> AsyncIterator[int]:
    yield 1


async def with_a_resource(number: Annotated[int, Depends(opened)]) -> ReportAnswer:
    return ReportAnswer(outcome="applied", detail=str(number))


async def inner(text: Annotated[str, Header()]) -> str:
    return text


async def outer(text: Annotated[str, Depends(inner)]) -> str:
    return text


async def nested(text: Annotated[str, Depends(outer)]) -> ReportAnswer:
    return ReportAnswer(outcome="applied", detail=text)


ASKING_FOR_MORE = [
    not_async,
    two_bodies,
    embedded,
    no_model,
    cookie,
    background,
    response,
    with_a_resource,
    nested,
]


@pytest.mark.parametrize("endpoint", ASKING_FOR_MORE, ids=lambda endpoint: endpoint.__name__)
def test_what_asks_for_more_stays_with_fastapi(endpoint: Callable[..., Any]) -> None:
    route = APIRoute("/", endpoint)
    assert lean(route) is route


def test_what_writes_its_answer_itself_stays_with_fastapi() -> None:
    route = APIRoute("/", says_more, response_class=PlainTextResponse)
    assert lean(route) is route


async def says_more(response: Response, status: int, header: Annotated[str, Header()] = "none") -> ReportAnswer:
    response.status_code = status
    response.headers["X-More"] = header
    return ReportAnswer(outcome="applied")


@pytest.mark.parametrize("query", ["", "?status=503", "?status=x"])
@pytest.mark.parametrize("headers", [{}, {"header": "some"}], ids=str)
async def test_an_endpoint_may_say_more_than_its_result(query: str, headers: dict[str, str]) -> None:
    route = APIRoute("/", says_more, response_model_exclude_defaults=True)
    assert lean(route) is not route
    answers = []
    for handling in (lean(route), route):
        app = FastAPI()
        app.router.routes.append(handling)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://usher.test") as client:
            answer = await client.get(f"/{query}", headers=headers)
        answers.append((answer.status_code, answer.headers.raw, answer.content))
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("last", "status"), [({"type": "http.request"}, 200), ({"type": "http.disconnect"}, 400)], ids=["whole", "cut off"]
)
async def test_a_body_counts_when_it_is_whole(last: Message, status: int) -> None:
    heard, answered = [], []
    incoming = [last, {"type": "http.request", "body": b'{"seq": 1}', "more_body": True}]
    router = APIRouter()

    @router.post("/")
    async def hear(body: Started) -> ReportAnswer:
        heard.append(body.seq)
        return ReportAnswer(outcome="applied")

    async def receive() -> Message:
        return incoming.pop()

    async def send(message: Message) -> None:
        answered.append(message)

    app = FastAPI()
    app.router.routes.extend(map(lean, router.routes))
    headers = [(b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    assert (answered[0]["status"], heard) == (status, [1] if status == 200 else [])
