"""What comes out of the page, or pretends to."""

import json
import re
import struct
from collections.abc import AsyncIterator, Collection, Sequence

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
        self.begun: list[tuple[str, float]] = []
        self.rankings: list[tuple[int, int, list[int]]] = []
        self.shown: list[tuple[list[str], float]] = []

    def begin(self, track: int, track_id: str, *, kind: str = "remote", age_s: float = 0.0) -> None:
        self.tracks[track] = track_id
        self.begun.append((kind, age_s))

    def hear(self, track: int, frame: Frame) -> None:
        self.frames.append((track, frame))

    def sources(self, track: int, position: int, heard: Sequence[int]) -> None:
        self.rankings.append((track, position, list(heard)))

    def speaks(self, people: Collection[str], *, age_s: float = 0.0) -> None:
        self.shown.append((list(people), age_s))

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
    found = re.search(r"const config = (\{.*?\});$", receiver.script, re.MULTILINE)
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
        '{"type": "track", "id": 1, "trackId": "a", "kind": "other"}',
        '{"type": "track", "id": 1, "trackId": "a", "atMs": "now"}',
        '{"type": "sources", "id": 1, "position": -1, "heard": []}',
        '{"type": "sources", "id": 1, "position": 0, "heard": [1]}',
        '{"type": "speaks", "ids": ["a"]}',
        '{"type": "resume", "from": -1, "tracks": []}',
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
    assert len(heard.tracks[1]) == 255


async def _page(receiver: Receiver, name: str, at_ms: float = 1000.0) -> tuple[ClientConnection, int]:
    """Connect a document by its name; return how many of its messages came before."""
    url, secret = _told(receiver)
    socket = await connect(url, proxy=None)
    await socket.send(json.dumps({"secret": secret, "page": name, "atMs": at_ms}))
    return socket, int(json.loads(await socket.recv())["received"])


def _track(number: int, at_ms: float = 1000.0, kind: str = "remote") -> dict[str, object]:
    return {"type": "track", "id": number, "trackId": f"id {number}", "kind": kind, "atMs": at_ms}


async def test_a_page_that_comes_back_goes_on_where_it_was(receiver: Receiver, heard: _Heard) -> None:
    page, before = await _page(receiver, "one")
    assert before == 0
    await page.send(json.dumps({"type": "resume", "from": 0, "tracks": []}))
    await page.send(json.dumps(_track(1)))
    await page.send(struct.pack("<Id", 1, 0.0) + tone(1, 0.1))
    await eventually(lambda: len(heard.frames) == 1, timeout_s=_PATIENCE_S)
    page.transport.abort()
    again, before = await _page(receiver, "one")
    assert before == 2
    await again.send(json.dumps({"type": "resume", "from": 2, "tracks": [_track(1)]}))
    await again.send(struct.pack("<Id", 1, 1600.0) + tone(1, 0.1))
    await eventually(lambda: len(heard.frames) == 2, timeout_s=_PATIENCE_S)
    await again.close()
    assert [(track, frame.position) for track, frame in heard.frames] == [(1, 0), (1, 1600)]
    assert len(heard.begun) == 1
    assert heard.ended == []


async def test_what_a_page_has_no_longer_is_not_waited_for(receiver: Receiver, heard: _Heard) -> None:
    page, _ = await _page(receiver, "one")
    await page.send(json.dumps({"type": "resume", "from": 70, "tracks": [_track(3)]}))
    await eventually(lambda: 3 in heard.tracks, timeout_s=_PATIENCE_S)
    await page.close()
    again, before = await _page(receiver, "one")
    assert before == 70
    await again.close()


async def test_a_new_connection_of_a_page_takes_the_place_of_one_that_hangs(receiver: Receiver) -> None:
    hanging, _ = await _page(receiver, "one")
    again, _ = await _page(receiver, "one")
    await hanging.wait_closed()
    await again.close()


async def test_tracks_of_two_documents_are_not_mixed_up(receiver: Receiver, heard: _Heard) -> None:
    first, _ = await _page(receiver, "top")
    second, _ = await _page(receiver, "frame")
    for page in (first, second):
        await page.send(json.dumps(_track(1)))
        await page.send(struct.pack("<Id", 1, 0.0) + tone(1, 0.1))
    await eventually(lambda: len(heard.frames) == 2, timeout_s=_PATIENCE_S)
    await first.close()
    await second.close()
    assert len({track for track, _ in heard.frames}) == 2


async def test_tracks_of_a_document_that_is_gone_are_over(heard: _Heard) -> None:
    async with open_receiver(heard, away_s=0.05) as receiver:
        page, _ = await _page(receiver, "one")
        await page.send(json.dumps(_track(1)))
        await eventually(lambda: 1 in heard.tracks, timeout_s=_PATIENCE_S)
        await page.close()
        await eventually(lambda: heard.ended == [1], timeout_s=_PATIENCE_S)


async def test_times_of_a_page_become_ages_by_its_fastest_message(receiver: Receiver, heard: _Heard) -> None:
    page, _ = await _page(receiver, "one", at_ms=100_000.0)
    await page.send(json.dumps(_track(1, at_ms=98_000.0)))
    await page.send(json.dumps({"type": "speaks", "ids": ["a", "b"], "atMs": 99_500.0}))
    await page.send(json.dumps({"type": "speaks", "ids": [], "atMs": 160_000.0}))
    await eventually(lambda: len(heard.shown) == 2, timeout_s=_PATIENCE_S)
    await page.close()
    ((kind, track_age_s),) = heard.begun
    assert kind == "remote"
    assert track_age_s == pytest.approx(2.0, abs=0.5)
    (first, age_s), (second, no_age_s) = heard.shown
    assert (first, second) == (["a", "b"], [])
    assert age_s == pytest.approx(0.5, abs=0.4)
    assert no_age_s == pytest.approx(0.0, abs=0.1)


async def test_sources_and_outputs_are_handed_on(receiver: Receiver, heard: _Heard) -> None:
    page, _ = await _page(receiver, "one")
    await page.send(json.dumps(_track(1, kind="output")))
    await page.send(json.dumps({"type": "sources", "id": 1, "position": 3200, "heard": [[111, 0.5], [222, 0.25]]}))
    await page.send(json.dumps({"type": "deaf", "id": 1, "times": 1}))
    await page.send(json.dumps({"type": "something new"}))
    await page.send(json.dumps({"type": "ended", "id": 1}))
    await eventually(lambda: heard.ended == [1], timeout_s=_PATIENCE_S)
    await page.close()
    assert heard.begun[0][0] == "output"
    assert heard.rankings == [(1, 3200, [111, 222])]
