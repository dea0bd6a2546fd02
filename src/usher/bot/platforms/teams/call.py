"""What Teams' own call tells beside the page: how it ended, who is there, and whose a contributing source is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from usher.bot.platforms.port import Person, Presence, Sighting, Wall
from usher.bot.platforms.web.bots import is_bot_name
from usher.domain.lifecycle import Reason

LISTEN = Path(__file__).with_name("call.js").read_text(encoding="utf-8")
"""Runs in every page before Teams' own scripts."""

READ = '() => window[Symbol.for("usher.call")]?.() ?? null'
"""Returns what `LISTEN` heard; None where it does not run."""

# Source: Attendee and its issues, August 2026: sub-codes of a conversation's end.
_DENIED = 5854
_GUESTS_FORBIDDEN = 5723
_REMOVED = frozenset({5000, 5300})


@dataclass(frozen=True, slots=True)
class Call:
    """What the page's call told so far.

    Attributes:
        end_code: Sub-code of its end; None while it goes on.
        people: Names of those in it, and whether it is the bot; None where the page does not tell.
        sources: Whose a contributing source is: name by its number.
        dominant: Name of who spoke last.
    """

    end_code: int | None = None
    people: tuple[tuple[str, bool], ...] | None = None
    sources: Mapping[int, str] = field(default_factory=dict)
    dominant: str | None = None

    @classmethod
    def read(cls, told: dict[str, Any] | None) -> "Call":
        """Read what the page's script returned."""
        if told is None:
            return cls()
        people = told["people"]
        return cls(
            end_code=told["end"]["code"] if told["end"] is not None else None,
            people=None if people is None else tuple((person["name"], person["own"]) for person in people),
            sources={int(number): name for number, name in told["sources"].items()},
            dominant=told["dominant"],
        )


def complete(seen: Sighting, call: Call, own_name: str) -> Sighting:
    """Return what is seen with what the call tells.

    The call and the tiles have no id of a person in common: who has a tile goes by its id, others by their name.

    Args:
        seen: One look at the page.
        call: What the call told until then.
        own_name: Under which the bot goes.
    """
    presence, wall = _end(seen, call.end_code)
    people = _people(seen.people, call, own_name)
    ids = {person.name: person.person_id for person in people}
    sources = {number: ids[name] for number, name in call.sources.items() if name in ids}
    return replace(seen, presence=presence, wall=wall, people=people, sources=sources)


def _end(seen: Sighting, code: int | None) -> tuple[Presence, Wall | None]:
    """Say how the call ended. Codes that are not known say only that it did: the page knows better how."""
    if code == _DENIED:
        return Presence.REJECTED, seen.wall
    if code in _REMOVED:
        return Presence.REMOVED, seen.wall
    if code == _GUESTS_FORBIDDEN:
        return Presence.CONNECTING, seen.wall or Wall(Reason.SIGN_IN_REQUIRED, f"conversationEnd {code}")
    if code is not None and seen.presence is Presence.CONNECTING and seen.wall is None:
        return Presence.ENDED, None
    return seen.presence, seen.wall


def _people(shown: Iterable[Person], call: Call, own_name: str) -> tuple[Person, ...]:
    people = [replace(person, is_self=person.is_self or _is_own(person.name, own_name)) for person in shown]
    names = {person.name for person in people}
    for name, is_own in call.people or ():
        if name not in names:
            people.append(Person(name, is_own or _is_own(name, own_name), name, is_bot_name(name)))
    if call.people is not None and not any(person.is_self for person in people):
        people.append(Person(own_name, is_self=True, person_id=own_name, is_bot=is_bot_name(own_name)))
    if not any(person.speaks for person in people):
        people = [replace(person, speaks=person.name == call.dominant) for person in people]
    return tuple(people)


def _is_own(name: str, own_name: str) -> bool:
    """Say whether a name is the bot's; Teams adds to a guest's that nobody vouches for it, such as " (Unverified)"."""
    return name == own_name or name.startswith(f"{own_name} (")
