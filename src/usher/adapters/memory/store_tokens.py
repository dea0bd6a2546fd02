"""API tokens, in memory."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from usher.adapters.memory.store_tables import Part
from usher.domain.errors import NotFound
from usher.ports import MOST_TOKENS, PLAIN, Actor, HeldKey, NewToken, Token, token_data


class MemoryTokens(Part):
    """See `usher.ports.Tokens`."""

    async def add_token(
        self, user_id: int, token_sha256: bytes, new: NewToken = PLAIN, *, by: Actor | None = None
    ) -> Token:
        """Store a token's digest and what it is for."""
        tables = self._tables
        if user_id not in tables.users:
            raise NotFound("unknown_user", f"There is no user {user_id}.")
        if token_sha256 not in tables.tokens:
            expires_at = None if new.good_s is None else tables.after(new.good_s)
            tables.tokens[token_sha256] = Token(
                next(tables.ids), user_id, new.name, new.scopes, new.ending, tables.now(), expires_at, None
            )
        token = tables.tokens[token_sha256]
        tables.write_deed(by, "token_created", f"token:{token.token_id}", token_data(token))
        return token

    async def find_key(self, token_sha256: bytes) -> HeldKey | None:
        """Return whose token that is."""
        token = self._tables.tokens.get(token_sha256)
        if token is None:
            return None
        left_s = None if token.expires_at is None else (token.expires_at - self._tables.now()).total_seconds()
        return HeldKey(token.token_id, self._tables.users[token.user_id], token.scopes, left_s)

    async def tokens_of(self, user_id: int) -> Sequence[Token]:
        """List a user's tokens, newest first."""
        theirs = (token for token in self._tables.tokens.values() if token.user_id == user_id)
        return sorted(theirs, key=lambda token: -token.token_id)[:MOST_TOKENS]

    async def mark_used(self, token_ids: Collection[int]) -> None:
        """Note that these are in use now."""
        now = self._tables.now()
        for digest, token in self._tables.tokens.items():
            if token.token_id in token_ids:
                self._tables.tokens[digest] = replace(token, last_used_at=now)

    async def revoke_token(self, token_id: int, *, by: Actor | None = None) -> bool:
        """Forget a token."""
        for digest, token in self._tables.tokens.items():
            if token.token_id == token_id:
                del self._tables.tokens[digest]
                self._tables.write_deed(by, "token_revoked", f"token:{token_id}", {"user_id": token.user_id})
                return True
        return False
