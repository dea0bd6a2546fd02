"""What comes out of the page, or pretends to."""

import json
import re
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support.bot_speech_server import tone
from tests.support.eventually import eventually
from websockets.asyncio.client import ClientConnection, connect

from usher.bot.audio.receiver import Frame, Receiver, open_receiver

_PATIENCE_S = 20.0


class _Heard:
    """Ears that remember."""

    def __init__(self) -> None:
        self.tracks: dict[int, str] = {}
        self.frames: list[tuple[int, Frame]] = []
        self.ended: list[int] = []

    def begin(self, track: int, track_id: str) -> None:
        self.tracks[track] = track_id

    def hear(self, track: int, frame: Frame) -> None:
        self.frames.append((track, frame))

    def end(self, track: int) -> None:
        self.ended.append(track)


@pytest.fixture
def heard() -> _Heard:
    return _Heard()


@pytest_asyncio.fixture
async def receiver(heard: _Heard) -> AsyncIterator[Receiver]:
    async with open_receiver(heard) as opened:
        yield opened


def _told(receiver: Receiver) -> tuple[str, str]:
    found = re.search(r"const config = (\{.*?\});", receiver.script)
    assert found is not None
    config = json.loads(found[1])
    return config["url"], config["secret"]


async def _connect(receiver: Receiver) -> ClientConnection:
    url, secret = _told(receiver)
    socket = await connect(url, proxy=None)
    await socket.send(json.dumps({"secret": secret}))
    return socket


async def test_tracks_come_apart_and_in_order(receiver: Receiver, heard: _Heard) -> None:
    page = await _connect(receiver)
    await page.send(json.dumps({"type": "track", "id": 1, "trackId": "a"}))
    await page.send(json.dumps({"type": "track", "id": 2, "trackId": "b"}))
    await page.send(struct.pack("<Id", 2, 0.0) + tone(1, 0.1))
    await page.send(struct.pack("<Id", 1, 1600.0) + tone(2, 0.1))
    await page.send(json.dumps({"type": "ended", "id": 2}))
    await eventually(lambda: heard.ended == [2], timeout_s=_PATIENCE_S)
    await page.close()
    assert heard.tracks == {1: "a", 2: "b"}
    assert heard.frames == [(2, Frame(0, tone(1, 0.1))), (1, Frame(1600, tone(2, 0.1)))]


@pytest.mark.parametrize("first", ['{"secret": "guessed"}', "{}", "[]", "no json", b"\xff\x00", '{"secret": 5}'])
async def test_who_does_not_know_the_secret_is_not_heard(receiver: Receiver, heard: _Heard, first: str | bytes) -> None:
    url, _ = _told(receiver)
    async with connect(url, proxy=None) as stranger:
        await stranger.send(first)
        await stranger.send(json.dumps({"type": "track", "id": 1, "trackId": "a"}))
        await stranger.wait_closed()
    assert heard.tracks == {}


@pytest.mark.parametrize(
    "message",
    [
        "no json",
        "[]",
        "{}",
        '{"type": "track"}',
        '{"type": "track", "id": "one", "trackId": "a"}',
        b"short",
        struct.pack("<Id", 1, float("nan")) + tone(1, 0.1),
        struct.pack("<Id", 1, float("inf")) + tone(1, 0.1),
        struct.pack("<Id", 1, -1.0) + tone(1, 0.1),
        struct.pack("<Id", 1, 0.0) + b"odd",
    ],
)
async def test_a_malformed_message_ends_only_its_connection(
    receiver: Receiver, heard: _Heard, message: str | bytes
) -> None:
    good, bad = await _connect(receiver), await _connect(receiver)
    await bad.send(message)
    await bad.wait_closed()
    await good.send(json.dumps({"type": "track", "id": 7, "trackId": "a"}))
    await eventually(lambda: 7 in heard.tracks, timeout_s=_PATIENCE_S)
    await good.close()
    assert heard.frames == []


async def test_names_of_tracks_are_bounded(receiver: Receiver, heard: _Heard) -> None:
    page = await _connect(receiver)
    await page.send(json.dumps({"type": "track", "id": 1, "trackId": "a" * 10_000}))
    await eventually(lambda: 1 in heard.tracks, timeout_s=_PATIENCE_S)
    await page.close()
    assert len(heard.tracks[1]) == 200
