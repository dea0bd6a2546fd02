"""Users and their API tokens, in memory."""

from collections.abc import Sequence

from usher.adapters.memory.store_tables import Part
from usher.domain.errors import NotFound
from usher.ports import User


class MemoryUsers(Part):
    """See `usher.ports.Users`."""

    async def create_user(self, email: str, *, name: str | None, max_concurrent_bots: int) -> User:
        """Create a user, or return the one with that e-mail address."""
        tables = self._tables
        for known in tables.users.values():
            if known.email == email:
                return known
        user = User(next(tables.ids), email, name, max_concurrent_bots, tables.now())
        tables.users[user.user_id] = user
        tables.active_bots[user.user_id] = 0
        return user

    async def find_user(self, user_id: int) -> User | None:
        """Return the user with that id."""
        return self._tables.users.get(user_id)

    async def list_users(self, *, limit: int, after_id: int) -> Sequence[User]:
        """List users by id."""
        return [user for user_id, user in sorted(self._tables.users.items()) if user_id > after_id][:limit]

    async def add_token(self, user_id: int, token_sha256: bytes) -> int:
        """Store a token's digest and return its id."""
        if user_id not in self._tables.users:
            raise NotFound("unknown_user", f"There is no user {user_id}.")
        token_id, _ = self._tables.tokens.setdefault(token_sha256, (next(self._tables.ids), user_id))
        return token_id

    async def find_user_by_token(self, token_sha256: bytes) -> User | None:
        """Return the owner of a token."""
        _, user_id = self._tables.tokens.get(token_sha256, (0, 0))
        return self._tables.users.get(user_id)

    async def revoke_token(self, token_id: int) -> bool:
        """Forget a token."""
        for digest, (known, _) in self._tables.tokens.items():
            if known == token_id:
                del self._tables.tokens[digest]
                return True
        return False
