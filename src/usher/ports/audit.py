"""Who did what: a line for each deed of an admin, and for each deletion, written with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from usher.ports.records import Json


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something.

    Attributes:
        name: `admin`, or `user:` and an id.
        origin: Address that the request came from; empty if it is not known.
    """

    name: str
    origin: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A deed.

    Attributes:
        action: What, in the past tense: `user_created`.
        subject: To what: `user:5`, `token:7`, `meeting:12`.
        data: More of it; never a secret, and nothing that people said or wrote.
    """

    entry_id: int
    actor: str
    origin: str
    action: str
    subject: str
    data: Json
    at: datetime


class Audit(Protocol):
    """The log of deeds. A method of the store that takes `by` writes its line in its own transaction; without, none."""

    async def note(self, by: Actor, action: str, subject: str) -> None:
        """Write a line about what has no transaction of its own. Not idempotent."""
        ...

    async def audit(self, *, limit: int, before_id: int | None = None) -> Sequence[AuditEntry]:
        """List lines, newest first; with `before_id` older ones than that."""
        ...
