"""Tickets: how a browser, which cannot set headers there, opens a live connection. A key never stands in a URL."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import HTTPConnection

from usher.api.auth import SCOPES, ForReading, UserCall, origin_of, reader_call
from usher.api.context import Context, get_context
from usher.api.keys import digest, new_token
from usher.api.problems import responses
from usher.domain.errors import LimitReached, NotAllowed
from usher.domain.scopes import Scope
from usher.ports import MOST_TICKETS, User
from usher.protocol.live import LiveTicket

router = APIRouter(tags=["live"])

_GOOD_S = 30.0
_TicketQuery = Annotated[str | None, Query(max_length=100, description="A ticket, in place of the header X-API-Key.")]


@router.post("/ws/tickets", status_code=201, responses=responses(429))
async def make_ticket(call: ForReading) -> LiveTicket:
    """Make a ticket: for half a minute it opens one connection to `/ws` or `/meetings/{id}/live`, as `?ticket=…`."""
    ticket = new_token()
    expires_at = await call.context.store.add_ticket(call.user.user_id, digest(ticket), good_s=_GOOD_S)
    if expires_at is None:
        raise LimitReached("too_many_tickets", f"{MOST_TICKETS} tickets wait to be used. Use them, or wait a little.")
    return LiveTicket(ticket=ticket, expires_at=expires_at)


async def owner_of(context: Context, ticket: str) -> User:
    """Use a ticket up and return whose it is.

    Raises:
        NotAllowed: `invalid_ticket`.
        Unavailable: The store does not answer.
    """
    user = await context.store.take_ticket(digest(ticket))
    if user is None:
        raise NotAllowed("invalid_ticket", "This ticket was used, is over or never was. Make one: POST /ws/tickets.")
    return user


async def viewer_call(connection: HTTPConnection, ticket: _TicketQuery = None) -> UserCall:
    """Return whose ticket the request carries, or else whose key.

    Raises:
        NotAllowed: Neither is good.
    """
    if ticket is None:
        return await reader_call(connection)
    context = await get_context(connection)
    return UserCall(await owner_of(context, ticket), context, origin_of(connection))


SCOPES[viewer_call] = Scope.READ
ByViewer = Annotated[UserCall, Depends(viewer_call)]
