"""Users, their use of the system, and their end."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypedDict

from usher.ports.audit import Actor
from usher.ports.records import Json, User


class UserChanges(TypedDict, total=False):
    """What is to be changed of a user; what is left out stays. `data` is replaced whole."""

    name: str | None
    max_concurrent_bots: int
    data: Json


@dataclass(frozen=True, slots=True)
class Usage:
    """What a user's meetings of a span of time amount to, by when they were asked for.

    Attributes:
        bot_s: Seconds from admission to the end, or to now.
        transcript_s: Seconds of speech in the transcripts of meetings that are over, deleted ones included.
    """

    meetings: int
    bot_s: float
    transcript_s: float


class Closing(StrEnum):
    """What became of the wish to close a user's account."""

    CLOSED = "closed"
    BOTS_LIVE = "bots_live"
    UNKNOWN = "unknown"


class Users(Protocol):
    """Users. For `by` see `Audit`."""

    async def create_user(
        self,
        email: str,
        *,
        name: str | None,
        max_concurrent_bots: int,
        data: Json | None = None,
        by: Actor | None = None,
    ) -> User:
        """Create a user. Idempotent by e-mail address: an existing user is returned unchanged."""
        ...

    async def find_user(self, user_id: int) -> User | None:
        """Return the user with that id."""
        ...

    async def find_user_by_email(self, email: str) -> User | None:
        """Return the user with that address, in lower case."""
        ...

    async def list_users(self, *, limit: int, after_id: int) -> Sequence[User]:
        """List users by id."""
        ...

    async def update_user(self, user_id: int, changes: UserChanges, *, by: Actor | None = None) -> User | None:
        """Change a user; None if there is none. Bots under way stay, also if the new limit is below their number."""
        ...

    async def usage(self, user_id: int, since: datetime | None, until: datetime | None) -> Usage:
        """Add up the meetings that the user asked for at `since` or later, and before `until`."""
        ...

    async def close_user(self, user_id: int, *, force: bool, by: Actor | None = None) -> Closing:
        """Take away a user's tokens, webhook and right to send bots. Idempotent.

        Nothing is done while bots of theirs are live, unless it is forced: they go on until somebody stops them.
        """
        ...

    async def remove_meetings(self, meeting_ids: Collection[int]) -> int:
        """Remove those of the meetings whose transcript was deleted, with their history; return how many those were."""
        ...

    async def remove_user(self, user_id: int, *, by: Actor | None = None) -> bool:
        """Remove a user who has no meetings left; False if they have, or there is no such user."""
        ...
