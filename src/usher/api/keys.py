"""Who calls: API keys, checked against their digests and trusted for a few seconds."""

import hashlib
import secrets
import time
from collections import OrderedDict

from usher.app.loops import run_every
from usher.domain.errors import Forbidden, NotAllowed
from usher.domain.scopes import Scope
from usher.ports import HeldKey, Tokens, User

_PREFIX = "usher_"
_MOST = 10_000
_MARK_S = 60.0
_SHOWN = 4


def new_key() -> str:
    """Return a new API key of 256 random bits."""
    return _PREFIX + new_token()


def new_token() -> str:
    """Return 256 random bits for a URL."""
    return secrets.token_urlsafe(32)


def digest(key: str) -> bytes:
    """Return what is stored of a key. A fast hash is right for a random key of this length."""
    return hashlib.sha256(key.encode()).digest()


def ending(key: str) -> str:
    """Return what is shown of a key: too little to guess the rest from."""
    return key[-_SHOWN:]


class KeyCache:
    """Looks keys up and remembers the answer for `ttl_s`: a revoked key works that much longer at most.

    Wrong keys are not remembered, so a new key works at once. Bounded: the oldest entries go first.
    """

    def __init__(self, tokens: Tokens, *, ttl_s: float) -> None:
        self._tokens = tokens
        self._ttl_s = ttl_s
        self._known: OrderedDict[bytes, tuple[float, HeldKey]] = OrderedDict()
        self._used: set[int] = set()

    async def user_of(self, key: str | None, scope: Scope | None = None) -> User:
        """Return the owner of `key`; see `held`."""
        return (await self.held(key, scope)).user

    async def held(self, key: str | None, scope: Scope | None = None) -> HeldKey:
        """Return what is known of `key`, if it may be used so.

        Args:
            key: As the caller sent it.
            scope: What it is to be used for; None for what only a key without scopes opens.

        Raises:
            NotAllowed: `missing_api_key`, `invalid_api_key` or `key_expired`.
            Forbidden: `missing_scope`.
            Unavailable: The store does not answer.
        """
        if not key:
            raise NotAllowed("missing_api_key", "Send your API key in the header X-API-Key.")
        sha256 = digest(key)
        known = self._known.get(sha256)
        held = known[1] if known is not None and known[0] > time.monotonic() else await self._look_up(sha256)
        if held.scopes is not None and scope not in held.scopes:
            raise _lacking(scope, held.scopes)
        if len(self._used) < _MOST:
            self._used.add(held.token_id)
        return held

    def forget(self, *, token_id: int | None = None, user_id: int | None = None) -> None:
        """Trust a key no longer that was revoked, or no key of a user. Other processes do so after their `ttl_s`."""
        for sha256, (_, held) in list(self._known.items()):
            if held.token_id == token_id or held.user.user_id == user_id:
                del self._known[sha256]

    async def run(self) -> None:
        """Note which keys are in use, once a minute for all of them, until cancelled."""
        await run_every(_MARK_S, "last_use", self.mark_used)

    async def mark_used(self) -> None:
        """Note which keys were used since the last time; what cannot be noted now is noted then.

        Raises:
            Unavailable: The store does not answer.
        """
        used = frozenset(self._used)
        if used:
            await self._tokens.mark_used(used)
            self._used -= used

    async def _look_up(self, sha256: bytes) -> HeldKey:
        asked_at = time.monotonic()  # what is left counts from before the question, so a key is never trusted too long
        held = await self._tokens.find_key(sha256)
        if held is None:
            raise NotAllowed("invalid_api_key", "This API key is not known. It may have been revoked.")
        if held.left_s is not None and held.left_s <= 0:
            raise NotAllowed("key_expired", "This API key has expired. Ask your admin for a new one.")
        self._known[sha256] = (asked_at + min(self._ttl_s, held.left_s or self._ttl_s), held)
        self._known.move_to_end(sha256)
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return held


def _lacking(scope: Scope | None, scopes: frozenset[Scope]) -> Forbidden:
    has = ", ".join(sorted(scopes)) or "none"
    wanted = "a key without scopes" if scope is None else f"a key with the scope {scope}"
    return Forbidden("missing_scope", f"This takes {wanted}; the scopes of this key are: {has}.")
