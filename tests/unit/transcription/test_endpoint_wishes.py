"""What a client asks of voice detection, and what it gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usher.protocol.whisper import VadParameters
from usher.transcription.config import EndpointRules
from usher.transcription.endpoint import Endpointer
from usher.transcription.voice import LoudnessDetector

RULES = EndpointRules()


def test_what_is_not_asked_for_stays() -> None:
    assert RULES.asked_for(None) == RULES
    assert RULES.asked_for(VadParameters()) == RULES


@pytest.mark.parametrize(
    ("asked", "field", "value"),
    [
        ({"threshold": 0.7}, "threshold", 0.7),
        ({"threshold": 0.99}, "threshold", 0.95),
        ({"threshold": 0.01}, "threshold", 0.1),
        ({"threshold": 0.6, "neg_threshold": 0.4}, "release", 0.2),
        ({"neg_threshold": 0.9}, "release", 0.0),
        ({"min_speech_duration_ms": 250}, "min_speech_s", 0.25),
        ({"min_speech_duration_ms": 60_000}, "min_speech_s", 1.0),
        ({"max_speech_duration_s": 10}, "max_utterance_s", 10.0),
        ({"max_speech_duration_s": float("inf")}, "max_utterance_s", 25.0),
        ({"max_speech_duration_s": 0.1}, "max_utterance_s", 5.0),
        ({"min_silence_duration_ms": 900}, "silence_s", 0.9),
        ({"min_silence_duration_ms": 0}, "silence_s", 0.2),
        ({"min_silence_duration_ms": 60_000}, "silence_s", 2.0),
        ({"speech_pad_ms": 400}, "pre_roll_s", 0.4),
        ({"speech_pad_ms": 0}, "pre_roll_s", 0.1),
    ],
)
def test_a_wish_is_granted_within_reason(asked: dict[str, float], field: str, value: float) -> None:
    assert getattr(RULES.asked_for(VadParameters.model_validate(asked)), field) == pytest.approx(value)


NUMBERS = st.none() | st.floats(0.0, 1e9) | st.just(float("inf"))


@given(
    threshold=st.none() | st.floats(0.0, 1.0, exclude_min=True, exclude_max=True),
    neg_threshold=st.none() | st.floats(0.0, 1.0, exclude_max=True),
    min_speech=NUMBERS,
    max_speech=st.none() | st.floats(0.0, 1e9, exclude_min=True),
    min_silence=NUMBERS,
    pad=NUMBERS,
)
def test_no_wish_makes_rules_that_cannot_work(
    threshold: float | None,
    neg_threshold: float | None,
    min_speech: float | None,
    max_speech: float | None,
    min_silence: float | None,
    pad: float | None,
) -> None:
    """Rules check themselves when they are made; the endpointer divides by none of them."""
    wish = VadParameters(
        threshold=threshold,
        neg_threshold=neg_threshold,
        min_speech_duration_ms=min_speech,
        max_speech_duration_s=max_speech,
        min_silence_duration_ms=min_silence,
        speech_pad_ms=pad,
    )
    rules = RULES.asked_for(wish)
    assert 0.0 <= rules.release < rules.threshold
    Endpointer(LoudnessDetector(), rules)


def test_a_silence_that_a_client_names_is_that_of_short_utterances_too() -> None:
    rules = RULES.asked_for(VadParameters(min_silence_duration_ms=400))
    assert (rules.silence_s, rules.short_silence_s) == (0.4, 0.4)
