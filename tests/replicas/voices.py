"""Whose hum is in a piece of sound: people of a scenario are told apart by their pitch."""

from collections.abc import Iterable, Mapping

import numpy as np
from tests.support.bot_speech_server import Stream

from usher.protocol.segments import SegmentEntry, SpokenSegment
from usher.protocol.whisper import SAMPLE_RATE_HZ

_NEAR_HZ = 15.0
_LEAST_SHARE = 0.2


def right_share(entries: Iterable[SegmentEntry], streams: Iterable[Stream], pitches: Mapping[str, int]) -> float:
    """Return how much of the time of named segments has their speaker's pitch in their sound: 0 to 1.

    Raises:
        ValueError: No segment has a name.
    """
    sound = {stream.uid: np.asarray(stream.pcm, dtype=np.float32) for stream in streams}
    total_s = right_s = 0.0
    for uid, segment in _final(entries):
        if segment.speaker is None:
            continue
        first, last = (round(at_s * SAMPLE_RATE_HZ) for at_s in (segment.start_s, segment.end_s))
        total_s += segment.end_s - segment.start_s
        if _share(sound[uid][first:last], pitches[segment.speaker]) >= _LEAST_SHARE:
            right_s += segment.end_s - segment.start_s
    if total_s == 0:
        raise ValueError("nothing was told by name")
    return right_s / total_s


def _final(entries: Iterable[SegmentEntry]) -> list[tuple[str, SpokenSegment]]:
    """Return the newest revision of each completed segment, with its session."""
    newest = {
        (entry.session_uid, segment.segment_id): segment
        for entry in entries
        for segment in entry.segments
        if segment.completed
    }
    return [(uid, segment) for (uid, _), segment in newest.items()]


def _share(pcm: "np.ndarray[tuple[int], np.dtype[np.float32]]", hz: int) -> float:
    """Return how much of the energy of some sound is near a pitch."""
    if len(pcm) == 0:
        return 0.0
    energy = np.abs(np.fft.rfft(pcm)) ** 2
    near = np.abs(np.fft.rfftfreq(len(pcm), 1 / SAMPLE_RATE_HZ) - hz) <= _NEAR_HZ
    return float(energy[near].sum() / max(float(energy.sum()), 1e-12))
