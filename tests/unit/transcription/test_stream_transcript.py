"""What a client is told, message by message."""

from usher.protocol.whisper import Segment, SpokenWord
from usher.transcription.engine import Word
from usher.transcription.transcript import Transcript

SECOND = 16_000


def revise(transcript: Transcript, utterance: int, text: str, *, completed: bool = False) -> None:
    start = utterance * 10 * SECOND
    transcript.revise(
        utterance=utterance, start=start, end=start + SECOND, text=text, language="en", completed=completed
    )


def take(transcript: Transcript) -> list[Segment]:
    message = transcript.take()
    assert message is not None
    return message.segments


def test_nothing_new_is_no_message() -> None:
    transcript = Transcript("u", repeat=2)
    assert transcript.take() is None
    revise(transcript, 0, "a")
    take(transcript)
    assert transcript.take() is None


def test_an_utterance_keeps_its_id_and_its_revision_grows() -> None:
    transcript = Transcript("u", repeat=2)
    seen = []
    for text, completed in (("a", False), ("a b", False), ("a b c", True)):
        revise(transcript, 3, text, completed=completed)
        (segment,) = take(transcript)
        seen.append((segment.id, segment.revision, segment.text, segment.completed, segment.start, segment.end))
    assert seen == [
        (3, 1, " a", False, "30.000", "31.000"),
        (3, 2, " a b", False, "30.000", "31.000"),
        (3, 3, " a b c", True, "30.000", "31.000"),
    ]


def test_completed_segments_are_repeated_and_the_open_one_comes_last() -> None:
    transcript = Transcript("u", repeat=2)
    for utterance in range(4):
        revise(transcript, utterance, "x", completed=True)
        take(transcript)
    revise(transcript, 4, "y")
    assert [(segment.id, segment.completed) for segment in take(transcript)] == [(2, True), (3, True), (4, False)]


def test_a_slow_client_still_gets_every_completed_segment() -> None:
    transcript = Transcript("u", repeat=2)
    for utterance in range(50):
        revise(transcript, utterance, "x", completed=True)
    assert [segment.id for segment in take(transcript)] == list(range(50))
    revise(transcript, 50, "x", completed=True)
    assert [segment.id for segment in take(transcript)] == [49, 50]


def test_an_utterance_without_words_is_not_mentioned() -> None:
    transcript = Transcript("u", repeat=2)
    revise(transcript, 0, "", completed=True)
    assert transcript.take() is None


def test_a_text_shown_and_then_withdrawn_is_completed_empty() -> None:
    transcript = Transcript("u", repeat=2)
    revise(transcript, 0, "thank you")
    take(transcript)
    revise(transcript, 0, "", completed=True)
    (segment,) = take(transcript)
    assert (segment.id, segment.text, segment.completed, segment.revision) == (0, "", True, 2)


def test_only_completed_segments_have_words() -> None:
    transcript = Transcript("u", repeat=2)
    words = (Word("Ask", 1.0, 1.25, 0.123456), Word(" not.", 1.25, 2.0, 1.0))
    told = []
    for completed in (False, True):
        transcript.revise(
            utterance=0, start=SECOND, end=2 * SECOND, text="Ask not.", language="en", completed=completed, words=words
        )
        (segment,) = take(transcript)
        told.append(segment.words)
    assert told == [
        None,
        (
            SpokenWord(word=" Ask", start="1.000", end="1.250", probability=0.1235),
            SpokenWord(word=" not.", start="1.250", end="2.000", probability=1.0),
        ),
    ]


def test_a_language_that_is_not_known_is_left_out() -> None:
    transcript = Transcript("u", repeat=2)
    transcript.revise(utterance=0, start=0, end=SECOND, text="a", language="", completed=True)
    assert take(transcript)[0].language is None


def test_a_stock_client_has_been_told_each_last_final_text_as_a_partial_one() -> None:
    transcript = Transcript("u", repeat=2, rehearse=True)
    revise(transcript, 0, "a")
    take(transcript)
    revise(transcript, 0, "b", completed=True)
    assert [(segment.text, segment.completed) for segment in take(transcript)] == [(" b", False)]
    assert [(segment.text, segment.completed) for segment in take(transcript)] == [(" b", True)]
    assert transcript.take() is None


def test_nothing_is_told_twice_where_the_final_text_was_told_before_or_more_is_being_said() -> None:
    transcript = Transcript("u", repeat=2, rehearse=True)
    revise(transcript, 0, "a")
    take(transcript)
    revise(transcript, 0, "a", completed=True)
    assert [segment.completed for segment in take(transcript)] == [True]
    revise(transcript, 1, "b", completed=True)
    revise(transcript, 2, "c")
    assert [segment.completed for segment in take(transcript)] == [True, True, False]
    assert transcript.take() is None
