"""API tokens."""

from collections.abc import Collection, Sequence

from usher.adapters.postgres.audit import write_deed
from usher.adapters.postgres.pool import Part, Row
from usher.adapters.postgres.rows import USER_COLUMNS, sql, user_from
from usher.domain.errors import NotFound
from usher.domain.scopes import Scope
from usher.ports import MOST_TOKENS, PLAIN, Actor, HeldKey, NewToken, Token, token_data

_COLUMNS = "t.id, t.user_id, t.name, t.scopes, t.ending, t.created_at, t.expires_at, t.last_used_at"

_KNOWN = {scope.value: scope for scope in Scope}

# The assignment changes nothing; it is there because RETURNING answers only for rows that are written.
_ADD = sql(
    """
INSERT INTO api_tokens AS t (user_id, token_sha256, name, scopes, ending, expires_at)
SELECT u.id, $2, $3, $4, $5, now() + make_interval(secs => $6) FROM users u WHERE u.id = $1
ON CONFLICT (token_sha256) DO UPDATE SET token_sha256 = excluded.token_sha256 RETURNING <columns>
""",
    columns=_COLUMNS,
)

_FIND = sql(
    """
SELECT t.id, t.scopes, extract(epoch FROM t.expires_at - now())::float8, <columns>
FROM api_tokens t JOIN users u ON u.id = t.user_id WHERE t.token_sha256 = $1
""",
    columns=USER_COLUMNS,
)

_LIST = sql("SELECT <columns> FROM api_tokens t WHERE t.user_id = $1 ORDER BY t.id DESC LIMIT $2", columns=_COLUMNS)

# Locked in the order of their ids, so that two managers cannot wait for each other.
_MARK_USED = """
UPDATE api_tokens t SET last_used_at = now()
FROM (SELECT id FROM api_tokens WHERE id = ANY ($1::bigint[]) ORDER BY id FOR NO KEY UPDATE) used WHERE t.id = used.id
"""

_REVOKE = "DELETE FROM api_tokens WHERE id = $1 RETURNING user_id"


class PostgresTokens(Part):
    """See `usher.ports.Tokens`."""

    async def add_token(
        self, user_id: int, token_sha256: bytes, new: NewToken = PLAIN, *, by: Actor | None = None
    ) -> Token:
        """Store a token's digest and what it is for."""
        scopes = None if new.scopes is None else sorted(new.scopes)
        values = (user_id, token_sha256, new.name, scopes, new.ending, new.good_s)
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(_ADD, *values)
            if row is None:
                raise NotFound("unknown_user", f"There is no user {user_id}.")
            token = _token(row)
            await write_deed(connection, by, "token_created", f"token:{token.token_id}", token_data(token))
        return token

    async def find_key(self, token_sha256: bytes) -> HeldKey | None:
        """Return whose token that is."""
        row = await self._database.row(_FIND, token_sha256)
        if row is None:
            return None
        token_id, scopes, left_s, *user = row
        return HeldKey(token_id, user_from(user), _scopes(scopes), left_s)

    async def tokens_of(self, user_id: int) -> Sequence[Token]:
        """List a user's tokens, newest first."""
        return [_token(row) for row in await self._database.rows(_LIST, user_id, MOST_TOKENS)]

    async def mark_used(self, token_ids: Collection[int]) -> None:
        """Note that these are in use now."""
        await self._database.value(_MARK_USED, list(token_ids))

    async def revoke_token(self, token_id: int, *, by: Actor | None = None) -> bool:
        """Forget a token."""
        async with self._database.connection() as connection, connection.transaction():
            user_id = await connection.fetchval(_REVOKE, token_id)
            if user_id is not None:
                await write_deed(connection, by, "token_revoked", f"token:{token_id}", {"user_id": user_id})
        return user_id is not None


def _token(row: Row) -> Token:
    token_id, user_id, name, scopes, *rest = row
    return Token(token_id, user_id, name, _scopes(scopes), *rest)


def _scopes(names: Collection[str] | None) -> frozenset[Scope] | None:
    """Return scopes; one that only a later version knows opens nothing here."""
    return None if names is None else frozenset(_KNOWN[name] for name in names if name in _KNOWN)
