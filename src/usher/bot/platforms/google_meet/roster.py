"""What Google Meet tells its own page of the people in the call, put together with what the page shows of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from usher.bot.platforms.port import Person, Sighting
from usher.bot.platforms.web.bots import is_bot_name

SCRIPT = Path(__file__).with_name("roster.js").read_text(encoding="utf-8")
"""Runs in every page before the page's own scripts, and reads along."""

ASK = 'window[Symbol.for("usher.roster")]?.() ?? null'
"""Asks the script for what it knows; null where it does not run."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One device in the call, as Meet tells its page.

    Attributes:
        name: Of its person; empty where Meet has not told it yet.
        is_self: It is the bot.
        is_here: It is in the call, as far as is known now.
        is_presentation: It is no person but what somebody presents.
    """

    name: str
    is_self: bool = False
    is_here: bool = True
    is_presentation: bool = False


@dataclass(frozen=True, slots=True)
class Roster:
    """Who is in the call, by the page's id of the person, and who is heard through which contributing source."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    sources: Mapping[int, str] = field(default_factory=dict)


def read_roster(told: dict[str, Any] | None) -> Roster:
    """Return the answer of the script in the page."""
    if told is None:
        return Roster()
    entries = {
        person["id"]: Entry(person["name"], person["own"], person["here"], person["shared"])
        for person in told["people"]
    }
    return Roster(entries, {int(number): person_id for number, person_id in told["sources"].items()})


def complete(seen: Sighting, roster: Roster, own_name: str) -> Sighting:
    """Return the sighting with the roster's names, with those whom no tile shows, and with everybody's sources.

    What somebody presents has a tile too, and is nobody.
    """
    shown = tuple(
        _named(person, roster, own_name) for person in seen.people if not _is_presentation(roster, person.person_id)
    )
    known = {person.person_id for person in shown}
    unseen = tuple(
        _named(Person(entry.name, is_self=entry.is_self, person_id=person_id), roster, own_name)
        for person_id, entry in roster.entries.items()
        if entry.is_here and entry.name and not entry.is_presentation and person_id not in known
    )
    return replace(seen, people=shown + unseen, sources=roster.sources)


def _is_presentation(roster: Roster, person_id: str) -> bool:
    entry = roster.entries.get(person_id)
    return entry is not None and entry.is_presentation


def _named(person: Person, roster: Roster, own_name: str) -> Person:
    """Return the person with the roster's name; where the roster knows the bot, people called "You" are people."""
    entry = roster.entries.get(person.person_id)
    knows_self = any(known.is_self for known in roster.entries.values())
    is_self = (entry is not None and entry.is_self) if knows_self else person.is_self
    name = own_name if is_self else (entry.name if entry is not None else "") or person.name
    return replace(person, name=name, is_self=is_self, is_bot=is_bot_name(name))
