"""`/admin/users`: who may send bots."""

from typing import Annotated, cast

from fastapi import APIRouter, Query
from pydantic import AwareDatetime

from usher.api.admin.bodies import user_body
from usher.api.auth import ByAdmin
from usher.api.pages import MOST_ID, Id, Limit
from usher.api.problems import responses
from usher.app.users import Farewell
from usher.domain.errors import NotFound
from usher.ports import User, UserChanges
from usher.protocol.admin import UsageBody, UserBody, UserRequest, UserUpdate

router = APIRouter(prefix="/admin", tags=["admin"])


@router.post("/users", status_code=201, responses=responses())
async def create_user(body: UserRequest, call: ByAdmin) -> UserBody:
    """Create a user; the one with that e-mail address is returned if there is one."""
    user = await call.context.store.create_user(
        body.email.lower(), name=body.name, max_concurrent_bots=body.max_concurrent_bots, data=body.data, by=call.by
    )
    return user_body(user)


@router.get("/users", responses=responses())
async def list_users(
    call: ByAdmin,
    limit: Limit = 100,
    after_id: Annotated[int, Query(ge=0, le=MOST_ID, description="Only users with a higher id: the next page.")] = 0,
) -> list[UserBody]:
    """List users by id."""
    return [user_body(user) for user in await call.context.store.list_users(limit=limit, after_id=after_id)]


@router.get("/users/email/{email}", responses=responses(404))
async def find_user(email: str, call: ByAdmin) -> UserBody:
    """Return the user with that e-mail address."""
    user = await call.context.store.find_user_by_email(email.lower())
    return user_body(_known(user, "There is no user with this e-mail address."))


@router.get("/users/{user_id}", responses=responses(404))
async def get_user(user_id: Id, call: ByAdmin) -> UserBody:
    """Return one user."""
    return user_body(_known(await call.context.store.find_user(user_id), f"There is no user {user_id}."))


@router.patch("/users/{user_id}", responses=responses(404))
async def update_user(user_id: Id, body: UserUpdate, call: ByAdmin) -> UserBody:
    """Change a user's name, limit or data. Bots under way stay, also if the new limit is below their number."""
    changes = cast("UserChanges", body.model_dump(exclude_unset=True))
    user = await call.context.store.update_user(user_id, changes, by=call.by)
    return user_body(_known(user, f"There is no user {user_id}."))


@router.delete("/users/{user_id}", status_code=204, responses=responses(404, 409))
async def delete_user(
    user_id: Id,
    call: ByAdmin,
    force: Annotated[bool, Query(description="Stop bots that are under way; without it they are a conflict.")] = False,
) -> None:
    """Delete a user with their keys, meetings, transcripts and recordings. If it is answered with 503, ask again."""
    context = call.context
    farewell = Farewell(context.store, context.bots, context.recordings, context.stream, context.feed)
    await farewell.delete(user_id, force=force, by=call.by)
    context.keys.forget(user_id=user_id)


@router.get("/users/{user_id}/usage", responses=responses(404))
async def get_usage(
    user_id: Id,
    call: ByAdmin,
    since: Annotated[
        AwareDatetime | None, Query(alias="from", description="Meetings asked for then or later, with time zone.")
    ] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="Meetings asked for before.")] = None,
) -> UsageBody:
    """Return what a user's meetings amount to."""
    _known(await call.context.store.find_user(user_id), f"There is no user {user_id}.")
    usage = await call.context.store.usage(user_id, since, until)
    return UsageBody(
        user_id=user_id,
        meetings=usage.meetings,
        bot_hours=round(usage.bot_s / 3600, 4),
        transcript_seconds=round(usage.transcript_s, 3),
    )


def _known(user: User | None, otherwise: str) -> User:
    if user is None:
        raise NotFound("unknown_user", otherwise)
    return user
