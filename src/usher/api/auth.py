"""Dependencies that say who calls: a user, the admin, or a bot.

Each reads its header itself, so that a route has one dependency, which has none: `lean` wants it so. How the schemes
are described in OpenAPI is said in `SCHEMES`.
"""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from usher.api.context import Context, get_context
from usher.domain.errors import NotAllowed
from usher.domain.scopes import Scope
from usher.ports import Actor, User
from usher.protocol.credentials import BotIdentity

SCHEMES: dict[str, dict[str, Any]] = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "Your API key."},
    "AdminKey": {"type": "apiKey", "in": "header", "name": "X-Admin-API-Key", "description": "The admin token."},
    "BotToken": {"type": "http", "scheme": "bearer", "description": "The token of a bot's attempt."},
}


@dataclass(frozen=True, slots=True)
class UserCall:
    """A call of a user."""

    user: User
    context: Context
    origin: str

    @property
    def by(self) -> Actor:
        """Who is held to what is deleted."""
        return Actor(f"user:{self.user.user_id}", self.origin)


@dataclass(frozen=True, slots=True)
class AdminCall:
    """A call of the admin."""

    by: Actor
    context: Context


@dataclass(frozen=True, slots=True)
class BotCall:
    """A call of a bot, by its own token."""

    bot: BotIdentity
    context: Context


RATE = "usher.rate"
"""Where a request's scope says how its key stands."""

SCOPES: dict[Callable[..., Any], Scope | None] = {}
"""What each of the dependencies that `user_call` makes asks for."""


def user_call(scope: Scope | None) -> Callable[[HTTPConnection], Awaitable[UserCall]]:
    """Return the dependency of a route that takes a key with that scope; with None, one without scopes."""

    async def call(connection: HTTPConnection) -> UserCall:
        """Return whose key the request carries.

        Raises:
            NotAllowed: The key is missing, not known, or has expired.
            Forbidden: It does not have the scope.
            TooFast: It is used more often than it may.
        """
        context = await get_context(connection)
        held = await context.keys.held(connection.headers.get("x-api-key"), scope)
        if context.rates is not None:
            standing = connection.scope[RATE] = context.rates.take(held.token_id)
            context.rates.require(standing)
        return UserCall(held.user, context, origin_of(connection))

    SCOPES[call] = scope
    return call


async def admin_call(connection: HTTPConnection) -> AdminCall:
    """Let only the admin pass.

    Raises:
        NotAllowed: The Admin API is closed, or the token is missing or wrong.
    """
    context = await get_context(connection)
    if context.admin_token is None:
        raise NotAllowed("admin_closed", "The Admin API is closed: set USHER_API__ADMIN_TOKEN to open it.")
    key = connection.headers.get("x-admin-api-key", "")
    if not hmac.compare_digest(key.encode(), context.admin_token.encode()):
        raise NotAllowed("bad_admin_token", "Send the admin token in the header X-Admin-API-Key.")
    return AdminCall(Actor("admin", origin_of(connection)), context)


async def bot_call(connection: HTTPConnection, connection_id: str) -> BotCall:
    """Return the bot that speaks for the connection in the path.

    Raises:
        NotAllowed: The token is missing or is not this connection's.
    """
    context = await get_context(connection)
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else ""
    return BotCall(context.reports.authenticate(connection_id, given), context)


def origin_of(connection: HTTPConnection) -> str:
    """Return the address that a request came from."""
    return connection.client.host if connection.client else ""


ByAdmin = Annotated[AdminCall, Depends(admin_call)]
ByUser = Annotated[UserCall, Depends(user_call(None))]
ForBots = Annotated[UserCall, Depends(user_call(Scope.BOTS))]
reader_call = user_call(Scope.READ)
ForReading = Annotated[UserCall, Depends(reader_call)]
ForWriting = Annotated[UserCall, Depends(user_call(Scope.WRITE))]
ForWebhooks = Annotated[UserCall, Depends(user_call(Scope.WEBHOOKS))]
ByBot = Annotated[BotCall, Depends(bot_call)]
