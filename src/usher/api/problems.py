"""Errors as problem details (RFC 9457). The only module that knows how an error looks over HTTP."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from usher.domain.errors import (
    CannotStore,
    Conflict,
    Forbidden,
    Invalid,
    LimitReached,
    NotAllowed,
    NotFound,
    Rejected,
    Superseded,
    TooFast,
    Unavailable,
)
from usher.protocol.rest import Problem

log = structlog.get_logger(__name__)

_STATUS: dict[type[Rejected], tuple[int, str]] = {
    Invalid: (422, "The request is not valid"),
    NotAllowed: (401, "Not allowed"),
    Forbidden: (403, "Not with this key"),
    NotFound: (404, "Not found"),
    Conflict: (409, "Conflict with the present state"),
    Superseded: (410, "Over"),
    LimitReached: (429, "Limit reached"),
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": title, "content": {"application/problem+json": {}}}
    for status, title in (
        *_STATUS.values(),
        (413, "Too large"),
        (416, "No such range"),
        (503, "Something that Usher needs does not answer"),
        (507, "It cannot be stored"),
    )
}


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entries of the problems that a route may answer with; 401, 422 and 503 always."""
    return {status: PROBLEMS[status] for status in sorted({401, 422, 503, *statuses})}


def install(app: FastAPI) -> None:
    """Make the application answer errors with problem details."""
    app.add_exception_handler(Rejected, _rejected)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(CannotStore, _cannot_store)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _bug)


def _answer(
    status: int, title: str, detail: str, code: str, *, headers: dict[str, str] | None = None, **more: object
) -> JSONResponse:
    body = {"type": f"urn:usher:problem:{code}", "title": title, "status": status, "detail": detail, "code": code}
    return JSONResponse(body | more, status_code=status, headers=headers, media_type="application/problem+json")


async def _rejected(_request: Request, error: Exception) -> JSONResponse:
    rejected = error if isinstance(error, Rejected) else Rejected("rejected", str(error))
    status, title = next((v for kind, v in _STATUS.items() if isinstance(rejected, kind)), (400, "Rejected"))
    headers = None
    if isinstance(rejected, LimitReached):
        headers = {"Retry-After": str(round(rejected.retry_after_s) if isinstance(rejected, TooFast) else 10)}
    return _answer(status, title, rejected.detail, rejected.code, headers=headers)


async def _unavailable(_request: Request, error: Exception) -> JSONResponse:
    detail = error.detail if isinstance(error, Unavailable) else str(error)
    retry_after = error.retry_after_s if isinstance(error, Unavailable) else 1.0
    headers = {"Retry-After": str(max(1, round(retry_after)))}
    return _answer(503, "Unavailable", detail, "unavailable", headers=headers)


async def _cannot_store(_request: Request, error: Exception) -> JSONResponse:
    detail = error.detail if isinstance(error, CannotStore) else str(error)
    return _answer(507, "It cannot be stored", detail, "cannot_store")


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    errors = [{"field": ".".join(str(p) for p in e["loc"][1:]), "problem": _sentence(e["msg"])} for e in found]
    detail = "; ".join(f"{e['field']}: {e['problem']}" if e["field"] else e["problem"] for e in errors)
    return _answer(422, "The request is not valid", detail, "invalid_request", errors=errors)


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")


async def _http(_request: Request, error: Exception) -> JSONResponse:
    status = error.status_code if isinstance(error, HTTPException) else 500
    detail = str(error.detail) if isinstance(error, HTTPException) else "Error"
    headers = dict(error.headers) if isinstance(error, HTTPException) and error.headers else None
    return _answer(status, detail, f"{detail}. The API is described at /docs.", f"http_{status}", headers=headers)


async def _bug(request: Request, error: Exception) -> JSONResponse:
    # The route and not the path of this request: in the path of a shared transcript stands its key.
    route = getattr(request.scope.get("route"), "path", "")
    log.error("request_failed", method=request.method, route=route, error=type(error).__name__)
    return _answer(500, "A bug in Usher", "Something went wrong on our side; the log says more.", "bug")
