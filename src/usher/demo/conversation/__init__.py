"""What is said in the demo: two people talk about their work, in turns.

The texts are in ``script.toml``, the recordings in ``lines``; ``make_audio.py`` turns the one into the other.
"""

import tomllib
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SAMPLE_RATE_HZ: Final = 16_000

_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Line:
    """Something that one speaker says without a pause.

    Attributes:
        language: ISO 639-1 code.
        audio: WAV file: 16-bit mono, 16 kHz.
        start_s: When it begins, from the beginning of the conversation.
    """

    speaker: str
    text: str
    language: str
    audio: Path
    start_s: float
    duration_s: float

    @property
    def end_s(self) -> float:
        """When it ends, from the beginning of the conversation."""
        return self.start_s + self.duration_s


@dataclass(frozen=True, slots=True)
class Conversation:
    """Lines in the order in which they are said; no two at the same time.

    Attributes:
        speakers: Their names; the first opens the meeting.
    """

    speakers: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def duration_s(self) -> float:
        """From the beginning of the first line to the end of the last one."""
        return max((line.end_s for line in self.lines), default=0.0)


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """A line as it is written, whether or not it is recorded yet."""

    speaker: str
    text: str
    audio: Path


@dataclass(frozen=True, slots=True)
class Script:
    """The conversation as it is written.

    Attributes:
        language: ISO 639-1 code.
        pause_s: Silence between two lines.
        voices: Name of the synthetic voice of each speaker.
    """

    language: str
    pause_s: float
    voices: dict[str, str]
    lines: tuple[ScriptLine, ...]


def load_script() -> Script:
    """Read what is to be said."""
    written = tomllib.loads((_FOLDER / "script.toml").read_text(encoding="utf-8"))
    lines = tuple(
        ScriptLine(line["speaker"], line["text"], _FOLDER / "lines" / f"{number:02}-{line['speaker'].lower()}.wav")
        for number, line in enumerate(written["lines"], 1)
    )
    return Script(written["language"], written["pause_s"], written["voices"], lines)


def load_conversation() -> Conversation:
    """Read what is said and how long each line takes.

    Raises:
        FileNotFoundError: A line is not recorded.
        ValueError: A recording is not 16-bit mono at 16 kHz.
    """
    script = load_script()
    lines: list[Line] = []
    start_s = 0.0
    for written in script.lines:
        duration_s = _duration_s(written.audio)
        lines.append(Line(written.speaker, written.text, script.language, written.audio, start_s, duration_s))
        start_s += duration_s + script.pause_s
    return Conversation(tuple(script.voices), tuple(lines))


def _duration_s(audio: Path) -> float:
    with wave.open(str(audio), "rb") as recording:
        if (recording.getnchannels(), recording.getsampwidth(), recording.getframerate()) != (1, 2, SAMPLE_RATE_HZ):
            raise ValueError(f"{audio.name} is not 16-bit mono at 16 kHz")
        return recording.getnframes() / SAMPLE_RATE_HZ
