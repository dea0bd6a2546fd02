"""`/admin/users/{user_id}/tokens`: API keys."""

from fastapi import APIRouter

from usher.api.admin.bodies import token_body, token_info
from usher.api.auth import ByAdmin
from usher.api.keys import digest, ending, new_key
from usher.api.pages import Id
from usher.api.problems import responses
from usher.domain.errors import NotFound
from usher.ports import NewToken
from usher.protocol.admin import TokenBody, TokenList, TokenRequest

router = APIRouter(prefix="/admin", tags=["admin"])


@router.post("/users/{user_id}/tokens", status_code=201, responses=responses(404))
async def create_token(user_id: Id, call: ByAdmin, body: TokenRequest | None = None) -> TokenBody:
    """Give a user an API key. It is shown this once; only its digest is kept."""
    key, wanted = new_key(), body or TokenRequest()
    new = NewToken(
        name=wanted.name,
        scopes=None if wanted.scopes is None else frozenset(wanted.scopes),
        ending=ending(key),
        good_s=wanted.expires_in_s,
    )
    return token_body(await call.context.store.add_token(user_id, digest(key), new, by=call.by), key)


@router.get("/users/{user_id}/tokens", responses=responses(404))
async def list_tokens(user_id: Id, call: ByAdmin) -> TokenList:
    """List a user's API keys, without the keys themselves."""
    store = call.context.store
    if await store.find_user(user_id) is None:
        raise NotFound("unknown_user", f"There is no user {user_id}.")
    return TokenList(tokens=[token_info(token) for token in await store.tokens_of(user_id)])


@router.delete("/tokens/{token_id}", status_code=204, responses=responses(404))
async def revoke_token(token_id: Id, call: ByAdmin) -> None:
    """Revoke an API key; it stops working within seconds."""
    if not await call.context.store.revoke_token(token_id, by=call.by):
        raise NotFound("unknown_token", f"There is no token {token_id}.")
    call.context.keys.forget(token_id=token_id)
