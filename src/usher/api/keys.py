"""Who calls: API keys, checked against their digests and trusted for a few seconds."""

import hashlib
import secrets
import time
from collections import OrderedDict

from usher.domain.errors import NotAllowed
from usher.ports import User, Users

_PREFIX = "usher_"
_MOST = 10_000


def new_key() -> str:
    """Return a new API key of 256 random bits."""
    return _PREFIX + new_token()


def new_token() -> str:
    """Return 256 random bits for a URL."""
    return secrets.token_urlsafe(32)


def digest(key: str) -> bytes:
    """Return what is stored of a key. A fast hash is right for a random key of this length."""
    return hashlib.sha256(key.encode()).digest()


class KeyCache:
    """Looks keys up and remembers the answer for `ttl_s`: a revoked key works that much longer at most.

    Wrong keys are not remembered, so a new key works at once. Bounded: the oldest entries go first.
    """

    def __init__(self, users: Users, *, ttl_s: float) -> None:
        self._users = users
        self._ttl_s = ttl_s
        self._known: OrderedDict[bytes, tuple[float, User]] = OrderedDict()

    async def user_of(self, key: str | None) -> User:
        """Return the owner of `key`.

        Raises:
            NotAllowed: `missing_api_key` or `invalid_api_key`.
            Unavailable: The store does not answer.
        """
        if not key:
            raise NotAllowed("missing_api_key", "Send your API key in the header X-API-Key.")
        sha256 = digest(key)
        known = self._known.get(sha256)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        user = await self._users.find_user_by_token(sha256)
        if user is None:
            raise NotAllowed("invalid_api_key", "This API key is not known. It may have been revoked.")
        self._known[sha256] = (time.monotonic() + self._ttl_s, user)
        self._known.move_to_end(sha256)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return user
