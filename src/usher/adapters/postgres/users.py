"""Users and their API tokens."""

from collections.abc import Sequence

from usher.adapters.postgres.pool import Part
from usher.adapters.postgres.rows import USER_COLUMNS, sql, user_from
from usher.domain.errors import InvariantBroken, NotFound
from usher.ports import User

# The assignment changes nothing; it is there because RETURNING answers only for rows that are written.
_CREATE = sql(
    """
INSERT INTO users AS u (email, name, max_concurrent_bots) VALUES ($1, $2, $3)
ON CONFLICT (email) DO UPDATE SET email = excluded.email RETURNING <columns>
""",
    columns=USER_COLUMNS,
)

_FIND = sql("SELECT <columns> FROM users u WHERE u.id = $1", columns=USER_COLUMNS)

_LIST = sql("SELECT <columns> FROM users u WHERE u.id > $1 ORDER BY u.id LIMIT $2", columns=USER_COLUMNS)

_ADD = """
INSERT INTO api_tokens (user_id, token_sha256) SELECT u.id, $2 FROM users u WHERE u.id = $1
ON CONFLICT (token_sha256) DO UPDATE SET token_sha256 = excluded.token_sha256 RETURNING id
"""

_FIND_OWNER = sql(
    "SELECT <columns> FROM api_tokens t JOIN users u ON u.id = t.user_id WHERE t.token_sha256 = $1",
    columns=USER_COLUMNS,
)

_REVOKE = "DELETE FROM api_tokens WHERE id = $1 RETURNING true"


class PostgresUsers(Part):
    """See `usher.ports.Users`."""

    async def create_user(self, email: str, *, name: str | None, max_concurrent_bots: int) -> User:
        """Create a user, or return the one with that e-mail address."""
        row = await self._database.row(_CREATE, email, name, max_concurrent_bots)
        if row is None:
            raise InvariantBroken("an upsert of a user returned nothing")
        return user_from(row)

    async def find_user(self, user_id: int) -> User | None:
        """Return the user with that id."""
        row = await self._database.row(_FIND, user_id)
        return None if row is None else user_from(row)

    async def list_users(self, *, limit: int, after_id: int) -> Sequence[User]:
        """List users by id."""
        return [user_from(row) for row in await self._database.rows(_LIST, after_id, limit)]

    async def add_token(self, user_id: int, token_sha256: bytes) -> int:
        """Store a token's digest and return its id."""
        token_id: int | None = await self._database.value(_ADD, user_id, token_sha256)
        if token_id is None:
            raise NotFound("unknown_user", f"There is no user {user_id}.")
        return token_id

    async def find_user_by_token(self, token_sha256: bytes) -> User | None:
        """Return the owner of a token."""
        row = await self._database.row(_FIND_OWNER, token_sha256)
        return None if row is None else user_from(row)

    async def revoke_token(self, token_id: int) -> bool:
        """Forget a token."""
        return await self._database.value(_REVOKE, token_id) is True
