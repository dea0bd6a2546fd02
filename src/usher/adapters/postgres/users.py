"""Users."""

from collections.abc import Sequence
from datetime import datetime

from usher.adapters.postgres.audit import write_deed
from usher.adapters.postgres.pool import Part
from usher.adapters.postgres.rows import USER_COLUMNS, sql, storable_json, user_from
from usher.domain.errors import InvariantBroken
from usher.ports import Actor, Json, Usage, User, UserChanges

# The assignment changes nothing; it is there because RETURNING answers only for rows that are written. A row that was
# there already has been locked by this, which is what `xmax` tells.
_CREATE = sql(
    """
INSERT INTO users AS u (email, name, max_concurrent_bots, data) VALUES ($1, $2, $3, $4)
ON CONFLICT (email) DO UPDATE SET email = excluded.email RETURNING xmax = 0, <columns>
""",
    columns=USER_COLUMNS,
)

_FIND = sql("SELECT <columns> FROM users u WHERE u.id = $1", columns=USER_COLUMNS)

_FIND_BY_EMAIL = sql("SELECT <columns> FROM users u WHERE u.email = $1", columns=USER_COLUMNS)

_LIST = sql("SELECT <columns> FROM users u WHERE u.id > $1 ORDER BY u.id LIMIT $2", columns=USER_COLUMNS)

_UPDATE = sql(
    """
UPDATE users u SET
    name = CASE WHEN 'name' = ANY ($2::text[]) THEN $3 ELSE u.name END,
    max_concurrent_bots = CASE WHEN 'max_concurrent_bots' = ANY ($2) THEN $4 ELSE u.max_concurrent_bots END,
    data = CASE WHEN 'data' = ANY ($2) THEN $5 ELSE u.data END
WHERE u.id = $1 RETURNING <columns>
""",
    columns=USER_COLUMNS,
)

_USAGE = """
SELECT count(*), coalesce(sum(extract(epoch FROM coalesce(m.end_time, now()) - m.start_time)), 0)::float8,
    coalesce(sum((m.data -> 'totals' ->> 'speech_s')::float8), 0)
FROM meetings m WHERE m.user_id = $1
    AND m.created_at >= coalesce($2::timestamptz, '-infinity') AND m.created_at < coalesce($3, 'infinity'::timestamptz)
"""


class PostgresUsers(Part):
    """See `usher.ports.Users`; the rest of it is in `closing`."""

    async def create_user(
        self,
        email: str,
        *,
        name: str | None,
        max_concurrent_bots: int,
        data: Json | None = None,
        by: Actor | None = None,
    ) -> User:
        """Create a user, or return the one with that e-mail address."""
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(_CREATE, email, name, max_concurrent_bots, storable_json(data or {}))
            if row is None:
                raise InvariantBroken("an upsert of a user returned nothing")
            created, *columns = row
            user = user_from(columns)
            if created:
                await write_deed(connection, by, "user_created", f"user:{user.user_id}")
        return user

    async def find_user(self, user_id: int) -> User | None:
        """Return the user with that id."""
        row = await self._database.row(_FIND, user_id)
        return None if row is None else user_from(row)

    async def find_user_by_email(self, email: str) -> User | None:
        """Return the user with that address."""
        row = await self._database.row(_FIND_BY_EMAIL, email)
        return None if row is None else user_from(row)

    async def list_users(self, *, limit: int, after_id: int) -> Sequence[User]:
        """List users by id."""
        return [user_from(row) for row in await self._database.rows(_LIST, after_id, limit)]

    async def update_user(self, user_id: int, changes: UserChanges, *, by: Actor | None = None) -> User | None:
        """Change a user."""
        data = storable_json(changes.get("data"))
        values = (changes.get("name"), changes.get("max_concurrent_bots"), data)
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(_UPDATE, user_id, list(changes), *values)
            if row is not None:
                await write_deed(connection, by, "user_updated", f"user:{user_id}", {"fields": sorted(changes)})
        return None if row is None else user_from(row)

    async def usage(self, user_id: int, since: datetime | None, until: datetime | None) -> Usage:
        """Add up a user's meetings."""
        row = await self._database.row(_USAGE, user_id, since, until)
        return Usage(*(row or (0, 0.0, 0.0)))
