"""Sound as it comes out of the page, and whoever wants to hear it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

SAMPLE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Frame:
    """Samples of one track.

    Attributes:
        position: Number of the first sample since the track began.
        pcm: float32 little endian, mono, 16 kHz.
    """

    position: int
    pcm: bytes


class Ears(Protocol):
    """Whoever wants to hear."""

    def begin(self, track: int, track_id: str, *, kind: str = "remote", age_s: float = 0.0) -> None:
        """A track appeared; `track_id` is the page's own name of it.

        Args:
            track: Our number of it, never used again.
            track_id: The page's own name of it.
            kind: "remote", or "output" for sound that the page plays and that is no remote track.
            age_s: How long ago its first sample was heard.
        """

    def hear(self, track: int, frame: Frame) -> None:
        """Samples of a track, in order."""

    def sources(self, track: int, position: int, heard: Sequence[int]) -> None:
        """These contributing sources (RFC 3550) are in a track since the 100 ms before `position`, and no others."""

    def speaks(self, people: Collection[str], *, age_s: float = 0.0) -> None:
        """The page shows since `age_s` that these people, by their ids, are heard, and nobody else."""

    def end(self, track: int) -> None:
        """A track is over."""


def count(frame: Frame) -> int:
    """Return the number of samples in a frame."""
    return len(frame.pcm) // SAMPLE_BYTES
