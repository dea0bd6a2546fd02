"""`/admin/users`: create users and give them API keys."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from usher.api.auth import require_admin
from usher.api.bodies import user_body
from usher.api.context import InContext
from usher.api.keys import digest, new_key
from usher.api.problems import responses
from usher.domain.errors import NotFound
from usher.protocol.rest import TokenBody, UserBody, UserRequest

router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(require_admin)])


@router.post("/users", status_code=201, responses=responses())
async def create_user(body: UserRequest, context: InContext) -> UserBody:
    """Create a user; the one with that e-mail address is returned if there is one."""
    user = await context.store.create_user(
        body.email.lower(), name=body.name, max_concurrent_bots=body.max_concurrent_bots
    )
    return user_body(user)


@router.get("/users", responses=responses())
async def list_users(
    context: InContext,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after_id: Annotated[int, Query(ge=0, description="Only users with a higher id: the next page.")] = 0,
) -> list[UserBody]:
    """List users by id."""
    return [user_body(user) for user in await context.store.list_users(limit=limit, after_id=after_id)]


@router.get("/users/{user_id}", responses=responses(404))
async def get_user(user_id: int, context: InContext) -> UserBody:
    """Return one user."""
    user = await context.store.find_user(user_id)
    if user is None:
        raise NotFound("unknown_user", f"There is no user {user_id}.")
    return user_body(user)


@router.post("/users/{user_id}/tokens", status_code=201, responses=responses(404))
async def create_token(user_id: int, context: InContext) -> TokenBody:
    """Give a user an API key. It is shown this once; only its digest is kept."""
    key = new_key()
    token_id = await context.store.add_token(user_id, digest(key))
    return TokenBody(id=token_id, token=key, user_id=user_id)


@router.delete("/tokens/{token_id}", status_code=204, responses=responses(404))
async def revoke_token(token_id: int, context: InContext) -> None:
    """Revoke an API key; it stops working within seconds."""
    if not await context.store.revoke_token(token_id):
        raise NotFound("unknown_token", f"There is no token {token_id}.")
