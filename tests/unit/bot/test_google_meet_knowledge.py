"""What the bot knows of Google Meet is in order, and what its messages say is put together rightly."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from usher.bot.platforms.google_meet.page import GoogleMeetPage, in_known_language
from usher.bot.platforms.google_meet.roster import Entry, Roster, complete, read_roster
from usher.bot.platforms.port import Person, Presence, Sighting
from usher.bot.platforms.web.knowledge import Way, read_knowledge
from usher.domain.lifecycle import Reason

KNOWN = read_knowledge(GoogleMeetPage.knowledge)
WAYS = [way for ways in KNOWN.controls.values() for way in ways] + [
    way for obstacle in KNOWN.obstacles for way in obstacle.press
]


def test_every_control_has_another_way_than_words() -> None:
    for name in ("name", "microphone_is_on", "camera_is_on", "leave", "join_by_form", "end_screen"):
        assert any(way.css for way in KNOWN.controls[name]), name


def test_ways_come_in_the_order_of_trust() -> None:
    for name, ways in KNOWN.controls.items():
        by_selector = [way.css is not None for way in ways]
        assert by_selector == sorted(by_selector), f"{name}: words first"


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_words_are_words_and_roles_are_roles(way: Way) -> None:
    said = way.name + way.label + way.placeholder + way.text
    assert all(word == word.strip() and word for word in said)
    assert way.role in {None, "button", "textbox"}


def test_lobby_and_denial_and_end_have_no_word_in_common() -> None:
    signs = {
        name: getattr(KNOWN.signs, name).words
        for name in ("removed", "ended", "rejected", "broken", "reconnecting", "lobby")
    }
    for name, words in signs.items():
        others = [word for other, theirs in signs.items() if other != name for word in theirs]
        assert not [(word, other) for word in words for other in others if word.lower() in other.lower()], name


def test_what_ends_a_visit_does_not_hold_while_there_are_tiles() -> None:
    for sign in (KNOWN.signs.removed, KNOWN.signs.ended, KNOWN.signs.rejected, KNOWN.signs.broken):
        assert sign.unless == (KNOWN.signs.inside.css[0],)
    assert not KNOWN.signs.lobby.unless


def test_the_button_in_german_is_no_sign_of_the_lobby() -> None:
    buttons = {word.lower() for way in KNOWN.controls["join"] for word in way.name}
    assert not [word for word in KNOWN.signs.lobby.words if word.lower() in buttons]


def test_walls_have_reasons_that_end_an_attempt() -> None:
    assert {wall.reason for wall in KNOWN.walls} == {
        Reason.MEETING_NOT_FOUND,
        Reason.CAPTCHA,
        Reason.SIGN_IN_REQUIRED,
        Reason.ADMISSION_TIMEOUT,
        Reason.BLOCKED,
    }


def test_a_comment_names_the_source_of_each_group() -> None:
    text = Path(GoogleMeetPage.knowledge).read_text(encoding="utf-8")
    for group in ("removed", "ended", "rejected", "broken", "reconnecting", "lobby", "inside"):
        before = text[: text.index(f"[signs.{group}]")]
        assert "Source:" in before.rsplit("\n\n", 1)[1], group
    for name in set(re.findall(r"\[\[controls\.(\w+)\]\]", text)):
        before = text[: text.index(f"[[controls.{name}]]")]
        assert "Source:" in before.rsplit("\n\n", 1)[1], name


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("https://meet.google.com/abc-defg-hij", "https://meet.google.com/abc-defg-hij?hl=en"),
        ("https://meet.google.com/abc-defg-hij?hl=de&x=1", "https://meet.google.com/abc-defg-hij?x=1&hl=en"),
    ],
)
def test_the_page_is_asked_for_in_english(url: str, opened: str) -> None:
    assert in_known_language(url) == opened


SEEN = Sighting(
    Presence.INSIDE,
    people=(
        Person("Ann", is_self=False, person_id="d1", speaks=True),
        Person("You", is_self=True, person_id="d9"),
        Person("Ann's screen", is_self=False, person_id="d5"),
    ),
)
ROSTER = Roster(
    entries={
        "d1": Entry("Ann Smith"),
        "d2": Entry("Bob"),
        "d3": Entry("Cid", is_here=False),
        "d4": Entry(""),
        "d5": Entry("Ann Smith", is_presentation=True),
        "d6": Entry("Fireflies.ai Notetaker"),
        "d9": Entry("Usher", is_self=True),
    },
    sources={6001: "d1", 6003: "d3"},
)


def test_names_come_from_the_roster_and_signs_from_the_tiles() -> None:
    seen = complete(SEEN, ROSTER, "Usher")
    assert seen.people == (
        Person("Ann Smith", is_self=False, person_id="d1", speaks=True),
        Person("Usher", is_self=True, person_id="d9"),
        Person("Bob", is_self=False, person_id="d2"),
        Person("Fireflies.ai Notetaker", is_self=False, person_id="d6", is_bot=True),
    )
    assert seen.sources == {6001: "d1", 6003: "d3"}
    assert complete(seen, ROSTER, "Usher") == seen


def test_who_is_called_you_is_a_person_where_the_roster_knows_the_bot() -> None:
    seen = replace(
        SEEN, people=(Person("Du", is_self=True, person_id="d1"), Person("Usher", is_self=False, person_id="d9"))
    )
    assert [(who.name, who.is_self) for who in complete(seen, ROSTER, "Usher").people[:2]] == [
        ("Ann Smith", False),
        ("Usher", True),
    ]


def test_without_a_roster_the_tiles_stand_as_they_are() -> None:
    seen = complete(SEEN, read_roster(None), "Usher")
    named = tuple(replace(person, name="Usher") if person.is_self else person for person in SEEN.people)
    assert seen == replace(SEEN, people=named)


def test_the_scripts_answer_is_read() -> None:
    told = {
        "people": [{"id": "d1", "name": "Ann", "own": False, "here": True, "shared": False}],
        "sources": {"4711": "d1"},
    }
    assert read_roster(told) == Roster({"d1": Entry("Ann")}, {4711: "d1"})
