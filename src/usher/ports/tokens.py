"""API tokens: what the store knows of them. Of a token itself it has the SHA-256 and the last characters."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from usher.domain.scopes import Scope
from usher.ports.audit import Actor
from usher.ports.records import Json, User

MOST_TOKENS = 1000
"""Tokens of a user that are listed."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a token is to be.

    Attributes:
        name: What it is for, for people.
        scopes: What it may be used for; None for everything, also what comes to be later.
        ending: Its last characters, so that its owner can tell it from others.
        good_s: How long it is good, by the store's clock; None until it is revoked.
    """

    name: str | None = None
    scopes: frozenset[Scope] | None = None
    ending: str = ""
    good_s: float | None = None


PLAIN = NewToken()
"""A token that does everything until it is revoked."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it may be shown; see `NewToken`.

    Attributes:
        last_used_at: To a minute or so; None if it was not used yet.
    """

    token_id: int
    user_id: int
    name: str | None
    scopes: frozenset[Scope] | None
    ending: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


def token_data(token: Token) -> Json:
    """Return what the log of deeds says of a new token."""
    return {"user_id": token.user_id, "scopes": None if token.scopes is None else sorted(token.scopes)}


@dataclass(frozen=True, slots=True)
class HeldKey:
    """Whose a token is, and what it opens.

    Attributes:
        left_s: How much longer it is good, by the store's clock; 0 or less if it has expired, None if it never will.
    """

    token_id: int
    user: User
    scopes: frozenset[Scope] | None
    left_s: float | None


class Tokens(Protocol):
    """API tokens of users. For `by` see `Audit`."""

    async def add_token(
        self, user_id: int, token_sha256: bytes, new: NewToken = PLAIN, *, by: Actor | None = None
    ) -> Token:
        """Store a token's digest and what it is for. Idempotent for the same digest: the first one stays.

        Raises:
            NotFound: `unknown_user`.
        """
        ...

    async def find_key(self, token_sha256: bytes) -> HeldKey | None:
        """Return whose token that is, also if it has expired."""
        ...

    async def tokens_of(self, user_id: int) -> Sequence[Token]:
        """List a user's tokens, newest first, `MOST_TOKENS` at most."""
        ...

    async def mark_used(self, token_ids: Collection[int]) -> None:
        """Note that these are in use now, in one statement. Idempotent; unknown ids are left out."""
        ...

    async def revoke_token(self, token_id: int, *, by: Actor | None = None) -> bool:
        """Forget a token; False if there is none."""
        ...
