"""Texts that nobody said."""

import pytest

from usher.transcription.engine import Doubt, Result
from usher.transcription.phantoms import is_made_up


def made_up(
    text: str,
    *,
    no_speech_prob: float = 0.05,
    avg_logprob: float = -0.4,
    doubt: Doubt = Doubt.NONE,
    speech_s: float = 1.5,
    threshold: float = 0.45,
) -> bool:
    result = Result(text, "en", no_speech_prob=no_speech_prob, avg_logprob=avg_logprob, doubt=doubt)
    return is_made_up(result, speech_s=speech_s, no_speech_threshold=threshold)


@pytest.mark.parametrize(
    ("no_speech_prob", "avg_logprob", "doubt", "expected"),
    [
        (0.9, -1.5, Doubt.NONE, True),
        (0.9, -0.6, Doubt.LOOPING, True),
        (0.9, -0.3, Doubt.NONE, False),
        (0.2, -1.5, Doubt.NONE, False),
        (0.2, -0.6, Doubt.LOOPING, False),
    ],
)
def test_any_text_needs_two_signs_against_it(
    no_speech_prob: float, avg_logprob: float, doubt: Doubt, expected: bool
) -> None:
    text = "The crane is older than I am."
    assert made_up(text, no_speech_prob=no_speech_prob, avg_logprob=avg_logprob, doubt=doubt) is expected


@pytest.mark.parametrize("text", ["", "...", ".", "\u266a \u266a", "( )", "- -"])
def test_a_text_without_letters_is_no_text(text: str) -> None:
    assert made_up(text)


@pytest.mark.parametrize(
    "text", ["Thank you.", "thank you", "Thank you. Thank you. Thank you.", "Thanks for watching!", "You"]
)
def test_a_courtesy_goes_only_when_no_speech_is_likely_or_there_was_no_time_for_it(text: str) -> None:
    assert not made_up(text)
    assert not made_up(text, avg_logprob=-1.3)
    assert not made_up(text, no_speech_prob=0.38)
    assert made_up(text, no_speech_prob=0.6)
    assert made_up(text, speech_s=0.06)


@pytest.mark.parametrize(
    "text",
    [
        "Untertitel der Amara.org-Community",
        "Untertitel im Auftrag des ZDF, 2017",
        "Untertitelung im Auftrag des ZDF für funk, 2016",
        "Sous-titres réalisés par la communauté d'Amara.org",
        "Sous-titres réalisés par la communauté d\u2019Amara.org",
        "字幕由Amara.org社区提供",
        "Subtitles by the Amara.org community.",
    ],
)
def test_a_credit_goes_on_weaker_signs_but_not_without_any(text: str) -> None:
    assert not made_up(text, speech_s=2.5)
    assert made_up(text, speech_s=2.5, avg_logprob=-0.8)
    assert made_up(text, speech_s=2.5, no_speech_prob=0.3)
    assert made_up(text, speech_s=0.3)


@pytest.mark.parametrize("text", ["Thank you, Bob.", "I said thank you.", "You are late.", "Amara.org is down."])
def test_a_phrase_inside_another_text_is_not_looked_at(text: str) -> None:
    assert not made_up(text, no_speech_prob=0.6)
    assert not made_up(text, speech_s=0.1)


def test_a_client_that_wants_everything_gets_what_has_letters() -> None:
    assert not made_up("Thank you.", no_speech_prob=0.99, threshold=1.0)
