"""Whose each frame is: none lost or doubled whatever comes in which order, and right for nearly all of the speech."""

import array
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.bot_conversation import FRAME, accuracy, attribute, conversation, sound

from usher.bot.audio.attribution import Attributed, Attribution
from usher.bot.audio.clues import Clues
from usher.bot.audio.receiver import Frame
from usher.bot.audio.sound import Sound

_PEOPLE = ("Ann", "Bob", "Cleo", "Dan")
_ANN, _BOB = 111, 222
_SEEDS = range(8)

_Event = Callable[[Attribution, Clues, int], None]


def _frame(number: int, loudness: float = 0.2, samples: int = FRAME) -> Sound:
    return Sound(Frame(number * FRAME, array.array("f", [loudness]).tobytes() * samples), loudness)


def _tell(frames: int, *events: tuple[int, _Event], clues: Clues | None = None) -> list[Attributed]:
    """Let a track play, with events before the frames of those numbers."""
    known = clues or Clues()
    attribution = Attribution(1, "track", known)
    told: list[Attributed] = []
    for number in range(frames):
        for at, event in events:
            if at == number:
                event(attribution, known, number * FRAME)
        told += attribution.add(_frame(number))
    return told + attribution.flush()


def _shows(*people: str) -> _Event:
    return lambda _, clues, position: clues.signs.note(people, position)


def _carries(*sources: int) -> _Event:
    return lambda attribution, _, position: attribution.sources(position, sources)


def _named(told: Sequence[Attributed]) -> list[str | None]:
    return [one.person for one in told]


def _knows(**sources: int) -> Clues:
    clues = Clues()
    clues.tell({}, {number: person for person, number in sources.items()})
    return clues


@pytest.mark.parametrize(
    ("gap_s", "least"),
    [
        pytest.param((0.2, 1.0), 0.97, id="pauses"),
        pytest.param((0.0, 0.4), 0.95, id="quick"),
        pytest.param((-1.0, 0.6), 0.93, id="overlaps"),
        pytest.param((-3.0, 0.2), 0.92, id="long overlaps"),
    ],
)
def test_a_mixed_track_with_late_signs_is_right_for_nearly_all_of_the_speech(
    gap_s: tuple[float, float], least: float
) -> None:
    shares = []
    for seed in _SEEDS:
        chance = random.Random(seed)  # noqa: S311 - a script
        said = conversation(chance, _PEOPLE, 25, gap_s)
        shares.append(accuracy(said, attribute(chance, said)))
    assert sum(shares) / len(shares) >= least, shares


def test_signs_that_are_looked_at_rarely_are_still_mostly_right() -> None:
    chance = random.Random(1)  # noqa: S311 - a script
    said = conversation(chance, _PEOPLE, 25, (0.2, 1.0))
    assert accuracy(said, attribute(chance, said, late_s=(0.3, 0.6), held_s=(0.6, 1.0))) >= 0.9


def test_a_track_of_one_person_is_never_held_back() -> None:
    clues = Clues()
    clues.tell({"track": "Ann"}, {})
    clues.signs.note(["Bob"], 0)
    attribution = Attribution(1, "track", clues)
    assert _named(attribution.add(_frame(0))) == [None]


def test_where_nothing_is_known_nothing_is_waited_for() -> None:
    attribution = Attribution(1, "track", Clues())
    assert _named(attribution.add(_frame(0))) == [None]


def test_sources_tell_to_a_tenth_of_a_second() -> None:
    told = _tell(40, (1, _carries(_ANN)), (20, _carries(_BOB)), clues=_knows(Ann=_ANN, Bob=_BOB))
    assert _named(told) == ["Ann"] * 19 + ["Bob"] * 21


def test_a_moment_with_both_sources_is_a_handover() -> None:
    told = _tell(
        40, (1, _carries(_ANN)), (20, _carries(_ANN, _BOB)), (21, _carries(_BOB)), clues=_knows(Ann=_ANN, Bob=_BOB)
    )
    assert _named(told) == ["Ann"] * 19 + ["Bob"] * 21


def test_of_two_sources_for_long_the_first_goes_on() -> None:
    told = _tell(
        60, (1, _carries(_ANN)), (20, _carries(_ANN, _BOB)), (45, _carries(_BOB)), clues=_knows(Ann=_ANN, Bob=_BOB)
    )
    assert _named(told) == ["Ann"] * 44 + ["Bob"] * 16


def test_a_source_that_nobody_knows_is_nobodys() -> None:
    assert set(_named(_tell(30, (1, _carries(999)), clues=_knows(Ann=_ANN)))) == {None}


def test_sources_are_learnt_from_the_signs() -> None:
    clues = Clues()
    _tell(60, (0, _shows("Ann")), (1, _carries(_ANN)), clues=clues)
    assert clues.person_of(_ANN) == "Ann"
    assert clues.person_of(_BOB) is None


def test_what_the_page_says_of_a_source_is_worth_more_than_what_was_learnt() -> None:
    clues = Clues()
    for _ in range(100):
        clues.vote(_ANN, "Bob")
    clues.tell({}, {_ANN: "Ann"})
    assert clues.person_of(_ANN) == "Ann"


def test_a_source_that_several_people_seem_to_have_is_nobodys() -> None:
    clues = Clues()
    for number in range(100):
        clues.vote(_ANN, _PEOPLE[number % 2])
    assert clues.person_of(_ANN) is None


def test_the_first_of_two_who_are_shown_goes_on_speaking() -> None:
    told = _named(_tell(80, (0, _shows()), (5, _shows("Ann")), (30, _shows("Ann", "Bob"))))
    assert set(told[10:]) == {"Ann"}


def test_who_is_shown_is_heard_from_before_the_sign_came() -> None:
    loud = [number >= 20 for number in range(60)]
    clues = Clues()
    attribution = Attribution(1, "track", clues)
    clues.signs.note([], 0)
    told = []
    for number, is_loud in enumerate(loud):
        if number == 25:
            clues.signs.note(["Ann"], number * FRAME)
        told += attribution.add(_frame(number, 0.2 if is_loud else 0.0))
    told += attribution.flush()
    assert {one.person for one in told if one.sound.is_loud} == {"Ann"}


def test_sound_without_a_name_is_the_last_speakers_for_a_second_and_then_nobodys() -> None:
    told = _named(_tell(100, (0, _shows()), (10, _shows("Ann")), (40, _shows())))
    last = max(number for number, person in enumerate(told) if person == "Ann")
    assert 40 <= last + 6 <= 56
    assert set(told[last + 1 :]) == {None}


def test_a_sign_that_flickers_is_one() -> None:
    told = _named(_tell(60, (0, _shows()), (5, _shows("Ann")), (20, _shows()), (22, _shows("Ann"))))
    assert set(told[8:]) == {"Ann"}


def test_nobody_is_heard_on_two_tracks_at_once() -> None:
    clues = Clues()
    clues.tell({}, {_ANN: "Ann"})
    clues.signs.note(["Ann"], 0)
    first, second = Attribution(1, "one", clues), Attribution(2, "two", clues)
    first.sources(FRAME, [_ANN])
    told: list[Attributed] = []
    for number in range(40):
        first.add(_frame(number))
        told += second.add(_frame(number))
    assert "Ann" not in _named(told)[5:]


_EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("frame"), st.integers(1, 2 * FRAME), st.integers(0, 3 * FRAME), st.floats(0, 1)),
        st.tuples(st.just("signs"), st.sets(st.sampled_from(_PEOPLE)), st.integers(-20, 20)),
        st.tuples(st.just("sources"), st.sets(st.sampled_from([_ANN, _BOB, 7])), st.integers(-20, 20)),
        st.tuples(
            st.just("look"), st.booleans(), st.dictionaries(st.sampled_from([_ANN, _BOB]), st.sampled_from(_PEOPLE))
        ),
    ),
    max_size=120,
)


@given(events=_EVENTS, patient=st.booleans())
def test_every_frame_comes_out_once_and_in_order_whatever_comes_when(
    events: list[tuple[Any, ...]], patient: bool
) -> None:
    clues = Clues()
    attribution = Attribution(1, "track", clues, patient=patient)
    given_in: list[Sound] = []
    told: list[Attributed] = []
    end = 0
    for kind, *about in events:
        if kind == "frame":
            samples, gap, loudness = about
            end += gap
            given_in.append(Sound(Frame(end, bytes(4 * samples)), loudness))
            end += samples
            told += attribution.add(given_in[-1])
        elif kind == "signs":
            clues.signs.note(about[0], max(0, end + about[1] * FRAME))
        elif kind == "sources":
            attribution.sources(max(0, end + about[1] * FRAME), sorted(about[0]))
        else:
            clues.tell({"track": "Ann"} if about[0] else {}, about[1])
        assert [one.sound for one in told] == given_in[: len(told)]
        assert attribution.settled_until <= attribution.end
    told += attribution.flush()
    assert [one.sound for one in told] == given_in


def test_loudness_of_a_made_up_conversation_is_that_of_its_samples() -> None:
    chance = random.Random(3)  # noqa: S311 - a script
    said = conversation(chance, _PEOPLE, 3, (0.0, 0.0))
    frame = sound(chance, said, said[0].begin // FRAME * FRAME + FRAME)
    assert array.array("f", frame.frame.pcm)[0] == pytest.approx(frame.loudness)
