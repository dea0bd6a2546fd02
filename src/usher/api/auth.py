"""Dependencies that say who calls: a user, the admin, or a bot.

Each reads its header itself, so that a route has one dependency, which has none: `lean` wants it so. How the schemes
are described in OpenAPI is said in `SCHEMES`.
"""

import hmac
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from usher.api.context import Context, get_context
from usher.domain.errors import NotAllowed
from usher.ports import User
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


@dataclass(frozen=True, slots=True)
class BotCall:
    """A call of a bot, by its own token."""

    bot: BotIdentity
    context: Context


async def user_call(connection: HTTPConnection) -> UserCall:
    """Return whose key the request carries.

    Raises:
        NotAllowed: The key is missing or not known.
    """
    context = await get_context(connection)
    return UserCall(await context.keys.user_of(connection.headers.get("x-api-key")), context)


async def require_admin(connection: HTTPConnection) -> None:
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


async def bot_call(connection: HTTPConnection, connection_id: str) -> BotCall:
    """Return the bot that speaks for the connection in the path.

    Raises:
        NotAllowed: The token is missing or is not this connection's.
    """
    context = await get_context(connection)
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else ""
    return BotCall(context.reports.authenticate(connection_id, given), context)


ByUser = Annotated[UserCall, Depends(user_call)]
ByBot = Annotated[BotCall, Depends(bot_call)]
