"""`python -m bench.soak --minutes 30 [--platform room]`: a bot among four people who talk, and what becomes of it.

People take turns of one to six seconds, with pauses, and now and then over each other. In the end what they said is
held against what the bot sent to the speech service, under whose name, and when; with its memory, its CPU time, and
whether it went without leaving a ghost. The exit code is 1 if something is not as it should be.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tests.support.bot_hearing import Heard, heard, tones
from tests.support.bot_talk import Turn

from bench.attending import VOICES, Attending, attending
from bench.trees import Tree
from usher.domain.meeting import Platform
from usher.protocol.segments import SegmentEntry
from usher.protocol.whisper import SAMPLE_RATE_HZ

_MB = 1024 * 1024
_LOOK_S = 10.0
_SETTLE_S = 6.0
_OVERLAPS = 0.2
_LEAST_SHARE = 0.97
_LEAST_ACCURACY = {Platform.TEAMS: 0.9}
_USUAL_ACCURACY = 0.95
_MOST_COVERAGE_ERROR = 0.001
_MOST_DRIFT_S = 0.5
_MOST_MB_PER_HOUR = 60.0
_TELLING_MINUTES = 10.0
_BLOCK_S = 0.05
_LATE_S = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The bot at a moment.

    Attributes:
        at_s: Seconds since the beginning.
        cpu_s: CPU seconds so far, of all its processes.
    """

    at_s: float
    cpu_s: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of a soak.

    Attributes:
        minutes: How long people talked.
        coverage: Seconds by the bot's time per second of time.
        missing_s: Seconds that by the bot's own count never came, of the track that lacks the most.
        memory_mb_per_hour: By which its memory grew, after the first fifth.
        went: Whether it left by command, orderly, and nobody sees it any more.
    """

    platform: Platform
    minutes: float
    heard: Heard
    coverage: float
    missing_s: float
    memory_mb_per_hour: float
    cores: float
    went: bool

    def lines(self) -> list[str]:
        """Say it for people."""
        one = self.heard
        return [
            f"said {one.said_s:.0f} s, of which came {one.share:.4f}",
            f"attribution {one.accuracy:.4f} (wrong {one.wrong_s:.1f} s, nameless {one.nameless_s:.1f} s)",
            f"coverage {self.coverage:.5f}, missing {self.missing_s:.2f} s",
            f"memory {self.memory_mb_per_hour:+.1f} MB per hour, {self.cores:.3f} cores",
            "left orderly, no ghost" if self.went else "DID NOT LEAVE ORDERLY",
        ]

    @property
    def sound(self) -> bool:
        """Whether all is as it should be."""
        return (
            self.went
            and self.heard.share >= _LEAST_SHARE
            and self.heard.accuracy >= _LEAST_ACCURACY.get(self.platform, _USUAL_ACCURACY)
            and abs(self.coverage - 1) <= max(_MOST_COVERAGE_ERROR, _MOST_DRIFT_S / (60.0 * self.minutes))
            # A browser takes some minutes to find its size.
            and (self.minutes < _TELLING_MINUTES or self.memory_mb_per_hour <= _MOST_MB_PER_HOUR)
        )


async def soak(minutes: float, platform: Platform) -> Findings:
    """Let people talk for so long, and look at the bot meanwhile."""
    async with attending(platform) as meeting:
        for actor in meeting.actors:
            await actor.hum(on=False)
        await asyncio.sleep(_SETTLE_S)
        samples: list[Sample] = []
        looking = asyncio.create_task(_look(meeting, samples))
        turns = await _talk(meeting, minutes * 60.0)
        looking.cancel()
        await asyncio.sleep(_SETTLE_S)
        went = await _leave(meeting)
        entries = await meeting.entries()
        return Findings(
            platform=platform,
            minutes=minutes,
            heard=heard(meeting.speech.streams, entries, VOICES, turns, mixed=platform is Platform.TEAMS),
            coverage=_coverage(meeting, entries, turns),
            missing_s=max((event["missing_samples"] for event in _incomplete(meeting)), default=0) / SAMPLE_RATE_HZ,
            memory_mb_per_hour=slope(samples),
            cores=(samples[-1].cpu_s - samples[0].cpu_s) / (samples[-1].at_s - samples[0].at_s),
            went=went,
        )


async def _talk(meeting: Attending, seconds: float) -> list[Turn]:
    """Let people take turns; return who really spoke when, in seconds since the epoch."""
    chance = random.Random(5)  # noqa: S311 - a script
    turns: list[Turn] = []
    over = time.time() + seconds
    speaking: dict[int, asyncio.Task[Turn]] = {}
    last = -1
    while time.time() < over:
        last = chance.choice([number for number in range(len(VOICES)) if number not in {last, *speaking}])
        length_s = chance.uniform(1.0, 6.0)
        speaking[last] = asyncio.create_task(_speak(meeting, last, length_s))
        overlap_s = chance.uniform(0.2, 1.0) if chance.random() < _OVERLAPS else -chance.uniform(0.1, 1.0)
        await asyncio.sleep(max(0.5, length_s - overlap_s))
        done = [number for number, task in speaking.items() if task.done()]
        turns += [speaking.pop(number).result() for number in done]
    return sorted([*turns, *await asyncio.gather(*speaking.values())], key=lambda turn: turn[1])


async def _speak(meeting: Attending, number: int, length_s: float) -> Turn:
    actor = meeting.actors[number]
    begin_s = await actor.hum(on=True)
    await asyncio.sleep(length_s)
    return actor.name, begin_s, await actor.hum(on=False)


async def _look(meeting: Attending, samples: list[Sample]) -> None:
    tree = Tree([meeting.bot.process.pid])
    began = time.monotonic()
    while True:
        at_s = time.monotonic() - began
        samples.append(Sample(at_s, tree.cpu_s(), tree.memory_bytes() / _MB))
        print(f"{at_s:6.0f} s {samples[-1].memory_mb:6.0f} MB {samples[-1].cpu_s:7.1f} CPU s", flush=True)
        await asyncio.sleep(_LOOK_S)


async def _leave(meeting: Attending) -> bool:
    meeting.bot.look()
    meeting.bot.terminate()
    code = await meeting.bot.exit_code()
    await meeting.stage.gone("left")
    return code == 0 and meeting.manager.last_word()["reason"] == "stopped" and not meeting.bot.left_behind()


def _incomplete(meeting: Attending) -> list[dict[str, int]]:
    return [event for event in meeting.bot.events() if event.get("event") == "audio_incomplete"]


def slope(samples: Sequence[Sample]) -> float:
    """Return by how much memory grows, MB per hour."""
    settled = samples[len(samples) // 5 :]
    if len(settled) < 3:
        return 0.0
    slope = np.polyfit([one.at_s for one in settled], [one.memory_mb for one in settled], 1)[0]
    return float(slope) * 3600.0


def _coverage(meeting: Attending, entries: Sequence[SegmentEntry], turns: Sequence[Turn]) -> float:
    """Compare how long the meeting was by the bot's time, and in truth: from the first turns to the last.

    Sound is always a little late. Were samples lost or doubled, it would be more or less late in the end.
    """
    late = sorted(_lateness(meeting, entries, turns))
    edge = max(5, len(late) // 10)
    if len(late) < 2 * edge:
        return 0.0
    first, last = late[:edge], late[-edge:]
    drift_s = float(np.median([lag for _, lag in last]) - np.median([lag for _, lag in first]))
    return 1.0 + drift_s / (last[-1][0] - first[0][0])


def _lateness(meeting: Attending, entries: Sequence[SegmentEntry], turns: Sequence[Turn]) -> list[tuple[float, float]]:
    """Return when each turn began, and how much later it began by the bot's time."""
    found: list[tuple[float, float]] = []
    names = list(VOICES)
    for stream in meeting.speech.streams:
        # The scripted service makes a text of every second of sound: its start is the moment of that sample.
        seconds = {
            int(segment.segment_id.rpartition(":")[2]): entry.session_start.timestamp() + segment.start_s
            for entry in entries
            if entry.session_uid == stream.uid
            for segment in entry.segments
        }
        sounding = tones(np.asarray(stream.pcm, dtype=np.float32), VOICES.values())
        for block, voice in zip(*np.nonzero(np.diff(sounding.astype(np.int8), axis=0) == 1), strict=True):
            at_s = (int(block) + 1) * _BLOCK_S
            if int(at_s) in seconds:
                moment = seconds[int(at_s)] + at_s % 1.0
                found += _match(moment, [turn for turn in turns if turn[0] == names[int(voice)]])
    return found


def _match(moment: float, turns: Sequence[Turn]) -> list[tuple[float, float]]:
    nearest = min(turns, key=lambda turn: abs(moment - turn[1]), default=None)
    if nearest is None or abs(moment - nearest[1]) > _LATE_S:
        return []
    return [(nearest[1], moment - nearest[1])]


def main() -> int:
    """Soak, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Let a bot listen to four people.")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--platform", type=Platform, default=Platform.ROOM, choices=list(Platform))
    arguments = parser.parse_args()
    findings = asyncio.run(soak(arguments.minutes, arguments.platform))
    print("\n".join(findings.lines()))
    return 0 if findings.sound else 1


if __name__ == "__main__":
    sys.exit(main())
