"""The capture script in real Chromium: every sample once, from every frame, whatever becomes of page and connection."""

import asyncio
import re
import signal
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import numpy as np
import psutil
import pytest
import pytest_asyncio
from tests.support.bot_hearing import tones
from tests.support.bot_talk import Talk, talking
from tests.support.eventually import eventually
from tests.support.tcp_proxy import TcpProxy

from usher.adapters.embedded.chromium import find_chromium
from usher.bot.audio.clock import SAMPLE_RATE
from usher.bot.audio.receiver import Frame, Receiver, open_receiver

pytestmark = pytest.mark.timeout(300)

_PATIENCE_S = 60.0
_ANN_HZ, _BOB_HZ = 437, 1103
_ONE_ELEMENT_FAILS = """
(() => {
  const Native = window.Audio;
  let made = 0;
  window.Audio = function () {
    const element = new Native();
    if (made++ === 0) element.play = () => new Promise(() => {});
    return element;
  };
})();
"""


@dataclass
class _Track:
    """What came of one track.

    Attributes:
        arrivals: Monotonic time, and position after the frame.
    """

    track_id: str
    kind: str
    frames: list[Frame] = field(default_factory=list)
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    ended: bool = False

    @property
    def pcm(self) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
        return np.concatenate([np.zeros(0, "<f4"), *(np.frombuffer(frame.pcm, "<f4") for frame in self.frames)])

    @property
    def missing(self) -> int:
        """Samples that never came."""
        return self.arrivals[-1][1] - self.frames[0].position - len(self.pcm)

    @property
    def doubled(self) -> int:
        """Samples that came again."""
        ends = [end for _, end in self.arrivals]
        return sum(max(0, end - frame.position) for end, frame in zip(ends, self.frames[1:], strict=False))

    def coverage(self) -> float:
        """Return seconds of positions per second of time, from where the sound was the least late at either end."""
        late = [(at - end / SAMPLE_RATE, end / SAMPLE_RATE) for at, end in self.arrivals]
        (early, begin), (later, end) = min(late[10:60]), min(late[-50:])
        return (end - begin) / (end - begin + later - early)

    def hears(self, hz: int) -> bool:
        """Whether a voice was heard in the last half second."""
        recent = np.concatenate([np.frombuffer(frame.pcm, "<f4") for frame in self.frames[-5:]])
        return bool(tones(recent, [hz]).any())


class _Ears:
    """Ears that keep everything."""

    def __init__(self) -> None:
        self.tracks: dict[int, _Track] = {}

    def begin(self, track: int, track_id: str, *, kind: str = "remote", age_s: float = 0.0) -> None:
        assert 0 <= age_s < _PATIENCE_S
        self.tracks[track] = _Track(track_id, kind)

    def hear(self, track: int, frame: Frame) -> None:
        known = self.tracks[track]
        known.frames.append(frame)
        known.arrivals.append((time.monotonic(), frame.position + len(frame.pcm) // 4))

    def sources(self, track: int, position: int, heard: Sequence[int]) -> None:
        pass

    def speaks(self, people: Collection[str], *, age_s: float = 0.0) -> None:
        pass

    def end(self, track: int) -> None:
        self.tracks[track].ended = True

    async def hears(self, hz: int, kind: str = "remote", *, among: Collection[int] = ()) -> _Track:
        """Wait until a voice is heard on a track, of those that are not `among` known ones, and return that track."""

        def found() -> list[_Track]:
            new = [track for number, track in self.tracks.items() if number not in among and track.kind == kind]
            return [track for track in new if track.frames and track.hears(hz)]

        await eventually(lambda: bool(found()), timeout_s=_PATIENCE_S)
        (track,) = found()
        return track


@dataclass
class World:
    """A page, and ears that listen to it."""

    ears: _Ears
    receiver: Receiver
    stack: AsyncExitStack

    async def talk(self, *, before: str = "", html: str = "<body></body>", script: str = "") -> Talk:
        """Open the pages."""
        opened = talking(find_chromium().path, script or self.receiver.script, html, before)
        return await self.stack.enter_async_context(opened)


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        ears = _Ears()
        receiver = await stack.enter_async_context(open_receiver(ears, away_s=1.0))
        yield World(ears, receiver, stack)


async def test_a_minute_is_covered(world: World) -> None:
    talk = await world.talk()
    await talk.connect({"Ann": _ANN_HZ, "Bob": _BOB_HZ})
    await talk.say([("Ann", 0, 100), ("Bob", 0, 100)])
    await world.ears.hears(_ANN_HZ)
    await asyncio.sleep(62)
    assert len(world.ears.tracks) == 2
    for track in world.ears.tracks.values():
        assert track.coverage() == pytest.approx(1.0, abs=0.001)
        assert track.doubled == 0


async def test_what_the_page_plays_comes_to_the_sample(world: World) -> None:
    """Without a network on the way the tone has to go on where it was, at every sample."""
    talk = await world.talk()
    await talk.bot.evaluate(
        """async (hz) => {
          const context = new AudioContext({ sampleRate: 44100 });
          await context.resume();
          const tone = new OscillatorNode(context, { frequency: hz });
          tone.connect(new GainNode(context, { gain: 0.3 })).connect(context.destination);
          tone.start();
        }""",
        _ANN_HZ,
    )
    track = await world.ears.hears(_ANN_HZ, "output")
    await asyncio.sleep(10)
    pcm = track.pcm[SAMPLE_RATE // 2 :]
    turns = _phase(pcm, _ANN_HZ)
    assert np.abs(np.diff(turns)).max() < 0.01
    assert np.sqrt((pcm[SAMPLE_RATE:] ** 2).mean()) == pytest.approx(0.3 / 2**0.5, rel=0.02)


async def test_media_elements_are_heard_attached_or_not(world: World) -> None:
    talk = await world.talk()
    await talk.bot.evaluate(
        """async ([first, second]) => {
          const play = async (hz, attached) => {
            const context = new AudioContext();
            await context.resume();
            const tone = new OscillatorNode(context, { frequency: hz });
            const stream = context.createMediaStreamDestination();
            tone.connect(stream);
            tone.start();
            const element = Object.assign(new Audio(), { srcObject: stream.stream });
            if (attached) document.body.append(element);
            await element.play();
          };
          await play(first, true);
          await play(second, false);
        }""",
        [_ANN_HZ, _BOB_HZ],
    )
    await world.ears.hears(_ANN_HZ, "output")
    await world.ears.hears(_BOB_HZ, "output")


async def test_a_client_in_a_frame_is_heard_once(world: World) -> None:
    talk = await world.talk(html='<body><iframe src="/frame"></iframe></body>')
    (frame,) = talk.bot.main_frame.child_frames
    await frame.wait_for_load_state()
    await talk.connect({"Ann": _ANN_HZ}, frame=frame)
    await talk.say([("Ann", 0, 60)])
    await world.ears.hears(_ANN_HZ)
    assert len(world.ears.tracks) == 1


async def test_a_page_that_is_loaded_anew_is_heard_anew_and_the_old_tracks_end(world: World) -> None:
    talk = await world.talk()
    await talk.connect({"Ann": _ANN_HZ})
    await talk.say([("Ann", 0, 100)])
    before = await world.ears.hears(_ANN_HZ)
    await talk.bot.reload()
    known = set(world.ears.tracks)
    await talk.people.reload()
    await talk.connect({"Bob": _BOB_HZ})
    await talk.say([("Bob", 0, 100)])
    after = await world.ears.hears(_BOB_HZ, among=known)
    assert after.frames[0].position == 0
    await eventually(lambda: before.ended, timeout_s=_PATIENCE_S)
    assert not after.ended


async def test_a_connection_that_breaks_loses_nothing(world: World) -> None:
    found = re.search(r"ws://127\.0\.0\.1:(\d+)", world.receiver.script)
    assert found is not None
    proxy = await world.stack.enter_async_context(TcpProxy([int(found[1])]))
    script = world.receiver.script.replace(found[0], f"ws://127.0.0.1:{proxy.port}")
    talk = await world.talk(script=script)
    await talk.connect({"Ann": _ANN_HZ})
    await talk.say([("Ann", 0, 100)])
    track = await world.ears.hears(_ANN_HZ)
    for _ in range(3):
        # What is on its way when the connection breaks is lost with it.
        proxy.silent = True
        await asyncio.sleep(1.5)
        assert await proxy.cut() >= 1
        proxy.silent = False
        before = len(track.frames)
        await _grows(track, before + 10)
    assert list(world.ears.tracks.values()) == [track]
    positions = [frame.position for frame in track.frames]
    assert positions == sorted(set(positions))
    assert track.doubled == 0


async def _grows(track: _Track, frames: int) -> None:
    await eventually(lambda: len(track.frames) > frames, timeout_s=_PATIENCE_S)


async def test_after_a_renderer_was_frozen_the_positions_are_right_again(world: World) -> None:
    talk = await world.talk()
    await talk.connect({"Ann": _ANN_HZ})
    await talk.say([("Ann", 0, 100)])
    track = await world.ears.hears(_ANN_HZ)
    await asyncio.sleep(3)
    renderers = [
        process
        for process in psutil.Process().children(recursive=True)
        if any("--type=renderer" in argument for argument in process.cmdline())
    ]
    for renderer in renderers:
        renderer.send_signal(signal.SIGSTOP)
    await asyncio.sleep(4)
    for renderer in renderers:
        renderer.send_signal(signal.SIGCONT)
    await asyncio.sleep(6)
    # Chromium brings a part of it later, all at once.
    assert track.coverage() == pytest.approx(1.0, abs=0.02)


async def test_a_track_that_delivers_nothing_is_attached_anew(world: World) -> None:
    talk = await world.talk(before=_ONE_ELEMENT_FAILS)
    await talk.connect({"Ann": _ANN_HZ})
    await talk.say([("Ann", 0, 200)])
    await world.ears.hears(_ANN_HZ)


async def test_the_page_finds_its_own_constructors(world: World) -> None:
    talk = await world.talk()
    seen = await talk.bot.evaluate(
        """() => {
          class Own extends RTCPeerConnection {}
          const own = new Own();
          return [
            RTCPeerConnection.name,
            RTCPeerConnection.length,
            typeof RTCPeerConnection.generateCertificate,
            /native code/.test(Function.prototype.toString.call(RTCPeerConnection)),
            own instanceof Own && own instanceof RTCPeerConnection,
            new RTCPeerConnection().constructor === RTCPeerConnection,
            (window.webkitRTCPeerConnection ?? RTCPeerConnection) === RTCPeerConnection,
            Object.keys(window).includes("RTCPeerConnection"),
            typeof own.setConfiguration,
          ];
        }"""
    )
    assert seen == ["RTCPeerConnection", 0, "function", True, True, True, True, False, "function"]


def _phase(
    pcm: "np.ndarray[tuple[int], np.dtype[np.float32]]", hz: int
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Return the phase of a tone in each 10 ms, in turns, unwrapped."""
    positions = np.arange(len(pcm))
    mixed = pcm * np.exp(-2j * np.pi * hz * positions / SAMPLE_RATE)
    blocks = mixed[: len(mixed) // 160 * 160].reshape(-1, 160)
    # Longer than a period of the tone, so that its double frequency falls out.
    smooth = np.convolve(blocks.mean(axis=1), np.ones(5) / 5, "valid")
    return np.asarray(np.unwrap(np.angle(smooth)) / (2 * np.pi))
