import array
import itertools
import re
import wave
from pathlib import Path

from usher.demo.conversation import Line, load_conversation, load_script

_MOST_BYTES = 3_000_000
_SILENCE = 500


def test_two_people_talk_in_turns_for_about_a_minute() -> None:
    conversation = load_conversation()
    assert conversation.speakers == ("Alice", "Bob")
    assert {line.speaker for line in conversation.lines} == set(conversation.speakers)
    assert all(a.speaker != b.speaker for a, b in itertools.pairwise(conversation.lines))
    assert 45 < conversation.duration_s < 60


def test_a_pause_is_between_two_lines_and_never_an_overlap() -> None:
    lines = load_conversation().lines
    pauses_s = [after.start_s - before.end_s for before, after in itertools.pairwise(lines)]
    assert lines[0].start_s == 0
    assert all(abs(pause_s - load_script().pause_s) < 1e-6 for pause_s in pauses_s)
    assert min(pauses_s) > 0.5


def test_the_conversation_lasts_until_its_last_sound() -> None:
    conversation = load_conversation()
    last = conversation.lines[-1]
    assert conversation.duration_s == last.start_s + last.duration_s


def test_every_line_of_the_script_has_a_recording_of_its_own() -> None:
    script, conversation = load_script(), load_conversation()
    assert [(line.speaker, line.text) for line in conversation.lines] == [(s.speaker, s.text) for s in script.lines]
    assert {line.language for line in conversation.lines} == {"en"}
    recorded = {line.audio for line in conversation.lines}
    assert len(recorded) == len(conversation.lines)
    assert recorded == set(conversation.lines[0].audio.parent.glob("*.wav")), "a recording that nobody says"
    assert sum(audio.stat().st_size for audio in recorded) < _MOST_BYTES


def test_recordings_are_loud_and_begin_and_end_with_speech() -> None:
    for line in load_conversation().lines:
        samples = _samples(line.audio)
        assert max(samples) > 15_000, line.audio.name
        tenth = len(samples) * 0.1 / line.duration_s
        loud = [i for i, sample in enumerate(samples) if abs(sample) > _SILENCE]
        assert loud[0] < tenth, line.audio.name
        assert loud[-1] > len(samples) - tenth, line.audio.name


def test_a_line_takes_as_long_as_its_words() -> None:
    """A recording of other words than the script's would most likely be much shorter or longer."""
    for line in load_conversation().lines:
        assert 2.0 < len(line.text.split()) / line.duration_s < 5.0, line.text


def test_the_words_have_one_spelling() -> None:
    for line in load_conversation().lines:
        assert re.fullmatch(r"[A-Za-z ,.?]+", line.text), line.text


def test_a_line_ends_after_its_duration() -> None:
    line = Line("Alice", "Hello.", "en", Path("hello.wav"), start_s=2.0, duration_s=1.5)
    assert line.end_s == 3.5


def _samples(audio: Path) -> list[int]:
    with wave.open(str(audio), "rb") as recording:
        return array.array("h", recording.readframes(recording.getnframes())).tolist()
