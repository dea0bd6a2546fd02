"""More than ten minutes of speech whose words are known: recorded people, a staged meeting, and synthetic voices."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from faster_whisper.audio import decode_audio  # type: ignore[import-untyped]  # ships no types
from tests.support.speech_clips import RATE_HZ, Pcm, clip, silence, transcripts

from usher.demo import conversation

GAP_S = 1.0
"""Silence after an utterance."""

_SENTENCES = Path(__file__).with_name("sentences.txt")
_SAY_S = 60.0
_LOUD = 0.01
_EDGE = RATE_HZ // 20
_PEAK = 0.8
# flite is easily understood, espeak-ng is not; so the second has a smaller share.
_VOICES = (
    ("flite", "-voice", "slt"),
    ("flite", "-voice", "rms"),
    ("espeak-ng", "-v", "en-us", "-s", "150"),
    ("flite", "-voice", "awb"),
    ("flite", "-voice", "slt"),
    ("flite", "-voice", "rms"),
    ("espeak-ng", "-v", "en-gb", "-s", "150"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Utterance:
    """Something said without a long pause.

    Attributes:
        text: Its words.
        pcm: float32 mono 16 kHz, shape (samples,); it begins and ends with sound.
    """

    text: str
    pcm: Pcm


@dataclass(frozen=True, slots=True)
class Said:
    """An utterance in its stream.

    Attributes:
        text: Its words.
        start_s: Stream seconds of its first sound.
        end_s: Stream seconds of its last.
    """

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What one stream plays.

    Attributes:
        pcm: float32 mono 16 kHz.
        said: Utterances in it, in order.
    """

    pcm: Pcm
    said: Sequence[Said]

    @property
    def duration_s(self) -> float:
        """Seconds of audio, silence included."""
        return len(self.pcm) / RATE_HZ

    @property
    def speech_s(self) -> float:
        """Seconds of speech."""
        return sum(said.end_s - said.start_s for said in self.said)


def require_voices() -> None:
    """Check that the synthesisers are there.

    Raises:
        RuntimeError: One is not.
    """
    missing = sorted({command for command, *_ in _VOICES if shutil.which(command) is None})
    if missing:
        raise RuntimeError(f"{' and '.join(missing)} not found: run tools/setup/voices.sh")


def make_parts(count: int, speech_s: float) -> list[Part]:
    """Return parts that have at least so much speech together, and about equally much each.

    Recorded and synthetic utterances are spread over the parts; each part has its own.
    """
    utterances = _enough(speech_s)
    hands: list[list[Utterance]] = [[] for _ in range(count)]
    # The longest first, each to the part that has the least: all parts take about as long.
    for utterance in sorted(utterances, key=lambda one: len(one.pcm), reverse=True):
        min(hands, key=lambda hand: sum(len(one.pcm) for one in hand)).append(utterance)
    order = {id(utterance): number for number, utterance in enumerate(utterances)}
    return [_part(sorted(hand, key=lambda one: order[id(one)])) for hand in hands]


def _enough(speech_s: float) -> list[Utterance]:
    found: list[Utterance] = []
    left = round(speech_s * RATE_HZ)
    for utterance in _all():
        if left <= 0:
            break
        found.append(utterance)
        left -= len(utterance.pcm)
    return found


def _all() -> Iterator[Utterance]:
    """Return recorded people, the staged meeting, then sentences in one voice after the other, without end."""
    for name, text in transcripts().items():
        yield Utterance(text, _trimmed(clip(name)))
    for line in conversation.load_script().lines:
        yield Utterance(line.text, _trimmed(_decoded(line.audio)))
    # Seven voices and another number of sentences: at each time round, a sentence has another voice.
    voices = cycle(_VOICES)
    for sentence in cycle(_SENTENCES.read_text(encoding="utf-8").splitlines()):
        yield Utterance(sentence, _trimmed(_say(next(voices), sentence)))


def _part(utterances: Sequence[Utterance]) -> Part:
    pieces, said, at = [silence(GAP_S)], [], round(GAP_S * RATE_HZ)
    for utterance in utterances:
        end = at + len(utterance.pcm)
        said.append(Said(utterance.text, at / RATE_HZ, end / RATE_HZ))
        pieces += [utterance.pcm, silence(GAP_S)]
        at = end + round(GAP_S * RATE_HZ)
    return Part(np.concatenate(pieces), tuple(said))


def _say(voice: Sequence[str], text: str) -> Pcm:
    command, *options = voice
    out, spoken = ("-o", ("-t", text)) if command == "flite" else ("-w", (text,))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoken.wav"
        arguments = (command, *options, out, str(path), *spoken)
        subprocess.run(arguments, check=True, capture_output=True, timeout=_SAY_S)  # noqa: S603 - fixed words
        return _decoded(path)


def _decoded(path: Path) -> Pcm:
    return np.asarray(decode_audio(str(path), sampling_rate=RATE_HZ), np.float32)


def _trimmed(pcm: Pcm) -> Pcm:
    """Cut the silence at both ends, so that delays count from the last sound, and make all voices about as loud."""
    loud = np.flatnonzero(np.abs(pcm) > _LOUD * np.abs(pcm).max() / _PEAK)
    cut = pcm[max(0, loud[0] - _EDGE) : loud[-1] + 1]
    return np.asarray(cut * (_PEAK / np.abs(cut).max()), np.float32)
