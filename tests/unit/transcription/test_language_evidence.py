"""When a stream's language is settled."""

import pytest

from usher.transcription.engine import Doubt, Result
from usher.transcription.language import LanguageEvidence

Text = tuple[str, float, float]


def settled_by(*texts: Text, doubt: Doubt = Doubt.NONE) -> list[bool]:
    evidence = LanguageEvidence()
    return [
        evidence.is_settled_by(Result("words", language, language_prob=probability, doubt=doubt), speech_s=speech_s)
        for language, probability, speech_s in texts
    ]


@pytest.mark.parametrize(
    ("texts", "settled"),
    [
        ([("de", 0.95, 1.2)], [True]),
        ([("af", 0.78, 1.1), ("en", 0.97, 3.0)], [False, True]),
        ([("ja", 0.95, 0.5), ("ja", 0.6, 0.5)], [False, True]),
        ([("en", 0.6, 2.0), ("en", 0.5, 2.0)], [False, True]),
        ([("ja", 0.8, 1.0), ("fr", 0.6, 1.0), ("ja", 0.8, 1.0), ("fr", 0.6, 1.0)], [False] * 4),
        ([("ja", 0.8, 1.0), ("fr", 0.4, 1.0), ("ja", 0.8, 1.0)], [False] * 3),
        ([("", 0.0, 5.0), ("", 0.0, 5.0)], [False, False]),
    ],
)
def test_one_sure_text_or_two_likely_ones_in_a_row(texts: list[Text], settled: list[bool]) -> None:
    assert settled_by(*texts) == settled


@pytest.mark.parametrize("doubt", [Doubt.GUESSED, Doubt.LOOPING])
def test_a_doubtful_text_settles_nothing(doubt: Doubt) -> None:
    assert settled_by(("de", 0.99, 3.0), ("de", 0.99, 3.0), doubt=doubt) == [False, False]


def test_a_text_nobody_said_settles_nothing() -> None:
    assert not LanguageEvidence().is_settled_by(Result("", "de", language_prob=0.99), speech_s=3.0)
