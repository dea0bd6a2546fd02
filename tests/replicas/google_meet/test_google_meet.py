"""What is Google Meet's alone: its messages on who is there, pages in a language that is not known, feigned words."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from tests.replicas.scenarios import SCENARIOS
from tests.replicas.stage import ReplicaStage
from tests.support.bot_theatre import Theatre

from usher.bot.browser import Outfit, open_browser
from usher.bot.platforms.google_meet.page import GoogleMeetPage
from usher.bot.platforms.google_meet.roster import ASK
from usher.bot.platforms.port import Presence, Sighting
from usher.domain.lifecycle import Reason

pytestmark = [pytest.mark.timeout(180), pytest.mark.asyncio(loop_scope="module")]
on_google_meet = pytest.mark.parametrize("house", ["google_meet"], indirect=True, scope="module")

ANN, BOB = "spaces/wLk2fQ0tN1UB/devices/p1", "spaces/wLk2fQ0tN1UB/devices/p2"
WITHOUT_ROSTER = "?roster=absent"
_WAIT_S = 45.0


@asynccontextmanager
async def guest(stage: ReplicaStage, **look: object) -> AsyncIterator[GoogleMeetPage]:
    """A bot's page, looked at from here."""
    stage.meeting.appear(**look)
    outfit = Outfit(chromium=stage.browser, headless=True, sandbox=False)
    async with open_browser(outfit, script="") as browser:
        yield GoogleMeetPage(browser.page)


async def until(page: GoogleMeetPage, holds: Callable[[Sighting], bool]) -> Sighting:
    """Look until something holds of what is seen."""
    async with asyncio.timeout(_WAIT_S):
        while True:
            seen = await page.look()
            if holds(seen):
                return seen
            await asyncio.sleep(0.2)


async def seen_as(page: GoogleMeetPage, presence: Presence) -> Sighting:
    """Look until the page is seen so."""
    return await until(page, lambda seen: seen.presence is presence)


async def inside(stage: ReplicaStage, page: GoogleMeetPage, *, address: str = "") -> Sighting:
    """Go in."""
    stage.meeting.lobby = False
    await page.join(stage.url + address, "Usher")
    return await seen_as(page, Presence.INSIDE)


@on_google_meet
async def test_the_roster_names_sources_and_the_page_gets_what_it_always_gets(stage: ReplicaStage) -> None:
    ann = await stage.person("Ann")
    await stage.person("Bob")
    async with guest(stage) as page:
        await inside(stage, page)
        seen = await until(page, lambda seen: len(seen.sources) == 2)
        people = stage.meeting.people.values()
        assert seen.sources == {who.source: f"spaces/wLk2fQ0tN1UB/devices/{who.id}" for who in people}
        heard = await page.driver.page.evaluate("heardByPage")
        assert {kind for kind, _ in heard} == {"collections", "sync"}
        assert all(size > 0 for kind, size in heard if kind == "collections")
        await ann.rename("Ann Smith")
        await until(page, lambda seen: "Ann Smith" in {who.name for who in seen.people})
        await ann.leave()
        seen = await until(page, lambda seen: len(seen.people) == 2)
        assert {(who.name, who.is_self) for who in seen.people} == {("Bob", False), ("Usher", True)}


@on_google_meet
async def test_what_the_script_wraps_looks_as_before(stage: ReplicaStage) -> None:
    async with guest(stage) as page:
        await inside(stage, page)
        looks = await page.driver.page.evaluate(
            """() => [fetch.length, fetch.name, RTCPeerConnection.prototype.createDataChannel.name,
                 fetch("/nowhere") instanceof Promise, Object.keys(window).includes("usher"),
                 new RTCPeerConnection() instanceof RTCPeerConnection,
                 new RTCPeerConnection().createDataChannel("collections") instanceof RTCDataChannel]"""
        )
        assert looks == [1, "fetch", "createDataChannel", True, False, True, True]
        refused = await page.driver.page.evaluate(
            "fetch('ftp://nowhere').then(() => '', (error) => error.constructor.name)"
        )
        assert refused == "TypeError"


SEND = """async ([label, kind, octets, times]) => {
  const [page, server] = [new RTCPeerConnection(), new RTCPeerConnection()];
  page.onicecandidate = ({ candidate }) => candidate && server.addIceCandidate(candidate);
  server.onicecandidate = ({ candidate }) => candidate && page.addIceCandidate(candidate);
  const channel = server.createDataChannel(label);
  const got = new Promise((resolve) => (page.ondatachannel = ({ channel: opened }) => (opened.onmessage = resolve)));
  await server.setLocalDescription(await server.createOffer());
  await page.setRemoteDescription(server.localDescription);
  await page.setLocalDescription(await page.createAnswer());
  await server.setRemoteDescription(page.localDescription);
  if (channel.readyState !== "open") await new Promise((resolve) => (channel.onopen = resolve));
  let bytes = new Uint8Array(octets.length * times).map((_, at) => octets[at % octets.length]);
  if (kind !== "plain") {
    const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream(kind));
    bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  }
  channel.send(bytes);
  await got;
  await new Promise((resolve) => setTimeout(resolve, 200));
}"""


def field(number: int, value: int | bytes) -> bytes:
    """One field of a protobuf message."""
    if isinstance(value, int):
        return varint(number * 8) + varint(value)
    return varint(number * 8 + 2) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    parts = []
    while value > 127:
        parts.append(value % 128 | 128)
        value //= 128
    return bytes([*parts, value])


def along(path: list[int], message: bytes) -> bytes:
    """The message below a path of fields."""
    for number in reversed(path):
        message = field(number, message)
    return message


def output(device: str, stream: bytes | int, kind: int = 1) -> bytes:
    """A message that says what a device sends."""
    return along([1, 2, 3, 2], field(2, kind) + field(4, stream) + field(6, device.encode()))


def person(device: str, name: str, *more: bytes) -> bytes:
    """A message that says who is at a device."""
    return along([1, 2, 13, 1, 2], field(1, device.encode()) + field(2, name.encode()) + b"".join(more))


@on_google_meet
@pytest.mark.parametrize("kind", ["deflate", "gzip", "deflate-raw", "plain"])
async def test_messages_are_read_however_they_are_packed(stage: ReplicaStage, kind: str) -> None:
    async with guest(stage) as page:
        await inside(stage, page, address=WITHOUT_ROSTER)
        await page.driver.page.evaluate(SEND, ["collections", kind, list(person(ANN, "Änn") + output(ANN, b"4711")), 1])
        told = await page.driver.page.evaluate(ASK)
        assert told["sources"] == {"4711": ANN}
        assert [(who["id"], who["name"], who["here"]) for who in told["people"]] == [(ANN, "Änn", True)]


@on_google_meet
async def test_what_is_no_such_message_teaches_nothing_and_harms_nobody(stage: ReplicaStage) -> None:
    good = person(ANN, "Ann") + output(ANN, 4711)
    presented = person(BOB, "Ann's screen", field(21, ANN.encode())) + output(BOB, b"4712")
    async with guest(stage) as page:
        faults: list[str] = []
        page.driver.page.on("pageerror", lambda error: faults.append(str(error)))
        await inside(stage, page, address=WITHOUT_ROSTER)
        for label, kind, octets, times in (
            ("collections", "plain", b"\x00", 1),
            ("collections", "plain", b"\xff", 300),
            ("collections", "plain", b"\x1f\x8bnot gzip", 1),
            ("collections", "deflate", good[:-3], 1),
            ("collections", "deflate", b"\x0a\xff\xff\xff\xff\x0f" + good, 1),
            ("collections", "deflate", b"\x0f" + good, 1),
            ("collections", "deflate", output(ANN, b"no number") + output(ANN, b"4711", kind=2), 1),
            ("collections", "deflate", output("", b"4711"), 1),
            ("collections", "gzip", good, 100_000),
            ("captions", "deflate", good, 1),
        ):
            await page.driver.page.evaluate(SEND, [label, kind, list(octets), times])
            told = await page.driver.page.evaluate(ASK)
            assert told["sources"] == {}, (label, kind, octets[:20])
        await page.driver.page.evaluate(SEND, ["collections", "deflate", list(good + presented), 1])
        told = await page.driver.page.evaluate(ASK)
        assert told["sources"] == {"4711": ANN}, "what somebody presents is nobody's voice"
        assert not faults


@on_google_meet
async def test_without_the_channel_tiles_say_who_is_heard(stage: ReplicaStage, theatre: Theatre) -> None:
    stage.url += WITHOUT_ROSTER
    await SCENARIOS["two_speak_at_once"](stage, theatre)


@on_google_meet
async def test_without_the_channel_tiles_say_who_is_there(stage: ReplicaStage) -> None:
    ann = await stage.person("Ann", 440)
    async with guest(stage) as page:
        await inside(stage, page, address=WITHOUT_ROSTER)
        seen = await page.look()
        assert seen.sources == {}
        assert {(who.name, who.person_id, who.is_self) for who in seen.people} == {
            ("Ann", ANN, False),
            ("Usher", "spaces/wLk2fQ0tN1UB/devices/901", True),
        }
        await until(page, lambda seen: any(who.speaks for who in seen.people))
        await ann.hum(on=False)
        await until(page, lambda seen: not any(who.speaks for who in seen.people))


@on_google_meet
async def test_in_a_language_that_nobody_knows_the_form_of_the_page_says_enough(stage: ReplicaStage) -> None:
    stage.meeting.turn("prejoin")
    async with guest(stage, language="xx") as page:
        await page.join(stage.url, "Usher")
        await seen_as(page, Presence.LOBBY)
        assert (stage.bot.name, stage.bot.microphone, stage.bot.camera) == ("Usher", False, False)
        await stage.admit()
        await seen_as(page, Presence.INSIDE)
        await stage.end_meeting()
        await seen_as(page, Presence.ENDED)


@on_google_meet
async def test_a_denial_in_a_language_that_nobody_knows_is_a_denial(stage: ReplicaStage) -> None:
    stage.meeting.turn("prejoin")
    async with guest(stage, language="xx") as page:
        await page.join(stage.url, "Usher")
        await seen_as(page, Presence.LOBBY)
        await stage.deny()
        await seen_as(page, Presence.REJECTED)


@on_google_meet
async def test_words_of_people_do_not_count(stage: ReplicaStage) -> None:
    words = ("You've been removed from the meeting", "Asking to be let in", "Check your meeting code", "Meeting ended")
    async with guest(stage) as page:
        await inside(stage, page)
        for text in words:
            actor = await stage.person(text)
            stage.say(actor, text)
            await page.driver.page.evaluate("(text) => (document.title = text)", text)
            for _ in range(3):
                seen = await page.look()
                assert seen.presence in {Presence.INSIDE, Presence.LOBBY}
                await asyncio.sleep(0.3)


@on_google_meet
@pytest.mark.parametrize("look", [{}, {"bare": True}, {"language": "xx"}])
async def test_the_lobby_with_the_meetings_own_buttons_is_the_lobby(
    stage: ReplicaStage, look: dict[str, object]
) -> None:
    stage.meeting.turn("prejoin")
    async with guest(stage, **look) as page:
        await page.join(stage.url, "Usher")
        await seen_as(page, Presence.LOBBY)
        for _ in range(10):
            assert (await page.look()).presence is Presence.LOBBY
            await asyncio.sleep(0.2)
        await page.leave()
        assert stage.bot.cancelled


@on_google_meet
async def test_a_name_that_google_does_not_let_in_is_the_bots_name_all_the_same(stage: ReplicaStage) -> None:
    async with guest(stage) as page:
        await page.join(stage.url, "Acme Notetaker")
        seen = await until(page, lambda seen: seen.wall is not None)
        assert seen.wall is not None
        assert seen.wall.reason is Reason.BLOCKED
        assert not stage.bot.name, "it did not ask under another name"


@on_google_meet
async def test_a_page_that_lost_a_part_of_itself_on_the_way_is_opened_anew(stage: ReplicaStage) -> None:
    async with guest(stage) as page:
        await page.driver.page.route("**/replica/site/page.js", lambda route: route.abort(), times=1)
        await page.join(stage.url, "Usher")
        await seen_as(page, Presence.LOBBY)
        assert stage.bot.opened == 1
