"""Dependencies that say who calls: a user, the admin, or a bot."""

import hmac
from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from usher.api.context import InContext
from usher.domain.errors import NotAllowed
from usher.ports import User
from usher.protocol.credentials import BotIdentity

_api_key = APIKeyHeader(name="X-API-Key", auto_error=False, description="Your API key.")
_admin_key = APIKeyHeader(name="X-Admin-API-Key", auto_error=False, description="The admin token.")
_bearer = HTTPBearer(auto_error=False, description="The bot's own token.")


async def current_user(context: InContext, key: Annotated[str | None, Depends(_api_key)]) -> User:
    """Return the user whose key the request carries."""
    return await context.keys.user_of(key)


async def require_admin(context: InContext, key: Annotated[str | None, Depends(_admin_key)]) -> None:
    """Let only the admin pass."""
    if context.admin_token is None:
        raise NotAllowed("admin_closed", "The Admin API is closed: set USHER_API__ADMIN_TOKEN to open it.")
    if key is None or not hmac.compare_digest(key.encode(), context.admin_token.encode()):
        raise NotAllowed("bad_admin_token", "Send the admin token in the header X-Admin-API-Key.")


async def current_bot(
    context: InContext,
    connection_id: str,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> BotIdentity:
    """Return the bot that speaks for the connection in the path."""
    return context.reports.authenticate(connection_id, bearer.credentials if bearer else "")


CurrentUser = Annotated[User, Depends(current_user)]
CurrentBot = Annotated[BotIdentity, Depends(current_bot)]
