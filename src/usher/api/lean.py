"""Good requests without FastAPI's machinery, all others by FastAPI itself.

FastAPI solves an endpoint's signature anew for each request, which takes most of what a small request costs. Here its
own reading of the signature (`APIRoute.dependant`, of which the OpenAPI document is made too) becomes a plan, once:
take the body and check it in one step, ask who calls, call the endpoint, write the answer. A request that is not
plainly good, by its body, content type or parameters, is handed to FastAPI's handling with the body played back, before
anything was done about it: a refusal looks as FastAPI makes it, because FastAPI makes it.
"""

import copy
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, cast

from fastapi import params
from fastapi.datastructures import DefaultPlaceholder
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import Message, Receive, Scope, Send

_JSON = "application/json"
_JSON_HEADER = (b"content-type", _JSON.encode())
_DUMP_OPTIONS = ("include", "exclude", "by_alias", "exclude_unset", "exclude_defaults", "exclude_none")


def lean(route: BaseRoute) -> BaseRoute:
    """Return the route with a plan for good requests, or unchanged if it asks for more than a plan provides."""
    if not isinstance(route, APIRoute) or not _can_be_planned(route):
        return route
    planned = copy.copy(route)
    planned.app = _Plan(route)
    return planned


def _can_be_planned(route: APIRoute) -> bool:
    endpoint = route.dependant
    answers = route.response_field is not None or route.status_code == 204
    return (
        answers
        and isinstance(route.response_class, DefaultPlaceholder)
        and (endpoint.body_params == [] or (endpoint.body_params == [route.body_field] and _is_json(route.body_field)))
        and all(_is_known(call) for call in (endpoint, *endpoint.dependencies))
        and not any(call.dependencies or call.body_params or call.response_param_name for call in endpoint.dependencies)
    )


def _is_json(body: Any) -> bool:  # noqa: ANN401 - FastAPI's type of fields has no public name
    kind = body.field_info.annotation
    return type(body.field_info) is params.Body and isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_known(call: Dependant) -> bool:
    names = (call.websocket_param_name, call.background_tasks_param_name, call.security_scopes_param_name)
    parameters = (*call.path_params, *call.query_params, *call.header_params)
    return (
        inspect.iscoroutinefunction(call.call)
        and not any((*names, call.cookie_params))
        and all(parameter.field_info.validation_alias in {None, parameter.alias} for parameter in parameters)
    )


class _Unclear(ValueError):
    """FastAPI shall look at this request."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A function whose arguments come from the request.

    Attributes:
        name: The endpoint's argument that takes the result, or None.
        requests: Arguments that are the request itself.
        parameters: Arguments that are a part of it: FastAPI's `ModelField`, and in which mapping to look for it.
    """

    function: Callable[..., Awaitable[Any]]
    name: str | None
    requests: Sequence[str]
    parameters: Sequence[tuple[Any, Callable[[Request], Any]]]

    @classmethod
    def of(cls, dependant: Dependant) -> "_Call":
        """Return the plan of one call."""
        places = {
            "path_params": dependant.path_params,
            "query_params": dependant.query_params,
            "headers": dependant.header_params,
        }
        return cls(
            function=cast("Callable[..., Awaitable[Any]]", dependant.call),
            name=dependant.name,
            requests=[n for n in (dependant.request_param_name, dependant.http_connection_param_name) if n],
            parameters=[(field, attrgetter(place)) for place, fields in places.items() for field in fields],
        )

    def arguments(self, request: Request) -> dict[str, Any]:
        """Return the arguments.

        Raises:
            _Unclear: A parameter is missing, wrong, or a list, of which only the last element is seen here.
        """
        arguments: dict[str, Any] = dict.fromkeys(self.requests, request)
        for field, place in self.parameters:
            text = place(request).get(field.alias)
            if text is not None:
                arguments[field.name], errors = field.validate(text)
            else:
                arguments[field.name], errors = field.default, field.field_info.is_required()
            if errors:
                raise _Unclear
        return arguments


class _Plan:
    """The ASGI application of one route."""

    def __init__(self, route: APIRoute) -> None:
        endpoint = route.dependant
        self._by_fastapi = route.app
        self._endpoint = _Call.of(endpoint)
        self._dependencies = [_Call.of(dependency) for dependency in endpoint.dependencies]
        self._body_name = route.body_field.name if route.body_field else None
        self._body_model = cast("type[BaseModel]", route.body_field and route.body_field.field_info.annotation)
        self._response_name = endpoint.response_param_name
        self._status = route.status_code or 200
        options = {option: getattr(route, f"response_model_{option}") for option in _DUMP_OPTIONS}
        self._dump: Callable[..., bytes] | None = (
            partial(route.response_field.serialize_json, **options) if route.response_field else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        if self._body_name is not None:
            body, receive = await _take_body(receive)
        request = Request(scope, receive, send)
        try:
            arguments = self._endpoint.arguments(request) | self._checked_body(request, body)
            questions = [(call, call.arguments(request)) for call in self._dependencies]
        except (ValueError, TypeError):  # pydantic's own is a ValueError; validators of ours may raise either
            await self._by_fastapi(scope, receive, send)
            return
        for call, its in questions:
            answer = await call.function(**its)
            if call.name is not None:
                arguments[call.name] = answer
        await self._answer(arguments, request, send)

    def _checked_body(self, request: Request, body: bytes) -> dict[str, Any]:
        if self._body_name is None:
            return {}
        if request.headers.get("content-type") != _JSON:
            raise _Unclear
        return {self._body_name: self._body_model.model_validate_json(body)}

    async def _answer(self, arguments: dict[str, Any], request: Request, send: Send) -> None:
        more = Response(status_code=self._status)  # what the endpoint may say besides its result
        more.raw_headers.clear()
        if self._response_name is not None:
            arguments[self._response_name] = more
        result = await self._endpoint.function(**arguments)
        if isinstance(result, Response):
            await result(request.scope, request.receive, send)
            return
        content, headers = b"", [_JSON_HEADER]
        if self._dump is not None:
            content = self._dump(result)
            headers.insert(0, (b"content-length", b"%d" % len(content)))
        headers += more.raw_headers
        await send({"type": "http.response.start", "status": more.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": content})


async def _take_body(receive: Receive) -> tuple[bytes, Receive]:
    """Return the body, empty if the caller hung up before its end, and a `receive` that plays back what came."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    whole = messages[-1]["type"] == "http.request"
    body = b"".join(message.get("body", b"") for message in messages) if whole else b""
    taken = iter(messages)

    async def again() -> Message:
        return next(taken, None) or await receive()

    return body, again
