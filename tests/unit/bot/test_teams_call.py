"""What Teams' call tells beside the page, and how it goes together with what the page shows."""

import json
import os
import zlib
from base64 import b64encode
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Page, async_playwright

from usher.adapters.embedded.chromium import find_chromium
from usher.bot.platforms.port import Person, Presence, Sighting
from usher.bot.platforms.teams.call import LISTEN, READ, Call, complete
from usher.domain.lifecycle import Reason

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

_INSIDE = Sighting(Presence.INSIDE)
_OUT = Sighting(Presence.CONNECTING)


@pytest.mark.parametrize(
    ("seen", "code", "presence"),
    [
        (_INSIDE, None, Presence.INSIDE),
        (_INSIDE, 5000, Presence.REMOVED),
        (_INSIDE, 5300, Presence.REMOVED),
        (Sighting(Presence.LOBBY), 5854, Presence.REJECTED),
        # What the code means is not known: the page knows better, while it shows anything.
        (_INSIDE, 0, Presence.INSIDE),
        (_OUT, 0, Presence.ENDED),
        (Sighting(Presence.REMOVED), 0, Presence.REMOVED),
    ],
)
async def test_how_a_call_ended(seen: Sighting, code: int | None, presence: Presence) -> None:
    assert complete(seen, Call(end_code=code), "Usher").presence is presence


async def test_where_guests_are_forbidden_somebody_has_to_sign_in() -> None:
    wall = complete(_OUT, Call(end_code=5723), "Usher").wall
    assert wall is not None
    assert wall.reason is Reason.SIGN_IN_REQUIRED


async def test_people_of_the_call_are_added_to_those_with_a_tile() -> None:
    shown = (Person("Ann", False, "t1", speaks=True), Person("Usher (Unverified)", False, "t2"))
    call = Call(people=(("Ann", False), ("Fireflies.ai Notetaker", False)), sources={6001: "Ann", 6002: "Nobody"})
    seen = complete(Sighting(Presence.INSIDE, shown), call, "Usher")
    assert [(one.name, one.person_id, one.is_self, one.is_bot) for one in seen.people] == [
        ("Ann", "t1", False, False),
        ("Usher (Unverified)", "t2", True, False),
        ("Fireflies.ai Notetaker", "Fireflies.ai Notetaker", False, True),
    ]
    assert seen.sources == {6001: "t1"}


async def test_a_bot_alone_in_the_call_is_seen_to_be_alone() -> None:
    assert complete(_INSIDE, Call(people=()), "Usher").people == (Person("Usher", True, "Usher"),)
    assert complete(_INSIDE, Call(people=None), "Usher").people == ()


async def test_who_is_dominant_counts_where_nobody_is_shown_as_speaking() -> None:
    ann, bob = Person("Ann", False, "t1"), Person("Bob", False, "t2", speaks=True)
    call = Call(dominant="Ann")
    assert [one.speaks for one in complete(Sighting(Presence.INSIDE, (ann,)), call, "Usher").people] == [True]
    assert [one.speaks for one in complete(Sighting(Presence.INSIDE, (ann, bob)), call, "Usher").people] == [
        False,
        True,
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def context() -> AsyncIterator[BrowserContext]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium().path, chromium_sandbox=os.geteuid() != 0
        )
        context = await browser.new_context()
        await context.add_init_script(LISTEN)
        yield context
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    page = await context.new_page()
    await page.goto("about:blank")
    yield page
    await page.close()


_END_URL = "https://x.teams.microsoft.com/v4/conversation/conversationEnd/"


async def _call(page: Page) -> Call:
    return Call.read(await page.evaluate(READ))


def _frame(body: str | dict[str, int], *, url: str = _END_URL, call: str = "own") -> str:
    headers = {"X-Microsoft-Skype-Chain-ID": call}
    return f"3:::{json.dumps({'url': url, 'headers': headers, 'body': body})}"


_TAKE = """(data) => {
  globalThis.line ??= new WebSocket("ws://127.0.0.1:9/");
  globalThis.line.dispatchEvent(new MessageEvent("message", { data }));
}"""
_OWN_CALL = """(people) => {
  const participant = ([id, displayName, source]) => ({ id, displayName, hasAudioSource: (n) => n === source });
  const participants = people.map(participant);
  globalThis.callingDebug = { observableCall: { _callId: "own", callerMri: "8:bot", participants } };
}"""


@pytest.mark.parametrize(
    "body",
    [
        '{"code": 200, "subCode": 5854}',
        {"subCode": 5854},
        b64encode(zlib.compress(b'{"subCode": 5854}')).decode(),
    ],
)
async def test_the_end_of_the_own_call_is_read_in_every_form(page: Page, body: str | dict[str, int]) -> None:
    await page.evaluate(_OWN_CALL, [])
    for frame in (
        "3:::",
        "2::",
        _frame({"subCode": 1}, call="other"),
        _frame({"subCode": 1}, url="https://x/rosterUpdate/"),
    ):
        await page.evaluate(_TAKE, frame)
    assert (await _call(page)).end_code is None
    await page.evaluate(_TAKE, _frame(body))
    await page.wait_for_function(f"({READ})().end !== null", timeout=10_000)
    assert (await _call(page)).end_code == 5854


async def test_the_page_gets_the_sockets_that_it_knows(page: Page) -> None:
    same = """() => {
      const socket = new WebSocket("ws://127.0.0.1:9/");
      return [socket instanceof WebSocket, WebSocket.name, WebSocket.OPEN, WebSocket.length];
    }"""
    assert await page.evaluate(same) == [True, "WebSocket", 1, 1]


_DOMINANT = """async (text) => {
  const [here, there] = [new RTCPeerConnection(), new RTCPeerConnection()];
  here.onicecandidate = ({ candidate }) => there.addIceCandidate(candidate);
  there.onicecandidate = ({ candidate }) => here.addIceCandidate(candidate);
  here.createDataChannel("main-channel");
  const opened = new Promise((resolve) => (there.ondatachannel = ({ channel }) => resolve(channel)));
  await here.setLocalDescription();
  await there.setRemoteDescription(here.localDescription);
  await there.setLocalDescription();
  await here.setRemoteDescription(there.localDescription);
  const channel = await opened;
  const send = () => channel.send(new Uint8Array([91, 0, 7, ...new TextEncoder().encode(text)]));
  channel.readyState === "open" ? send() : (channel.onopen = send);
  globalThis.kept = [here, there];
}"""


async def test_who_is_dominant_is_read_from_the_data_channel(page: Page) -> None:
    await page.evaluate(_OWN_CALL, [["8:ann", "Ann", 1053], ["8:bot", "Usher", 0]])
    await page.evaluate(_DOMINANT, json.dumps([{"type": "other"}, {"type": "dsh", "history": [1053, 2331]}]))
    await page.wait_for_function(f"({READ})().dominant === 'Ann'", timeout=20_000)
    assert (await _call(page)).people == (("Ann", False), ("Usher", True))


async def test_whose_a_source_is_is_told_for_those_that_were_heard(page: Page) -> None:
    """A receiver without sound names no sources; the browser's answer is put in its place, below the listener."""
    await page.evaluate(_OWN_CALL, [["8:ann", "Ann", 414], ["8:bob", "Bob", 415]])
    assert (await _call(page)).sources == {}
    bare = await page.context.browser.new_page() if page.context.browser else None
    assert bare is not None
    await bare.evaluate("RTCRtpReceiver.prototype.getContributingSources = () => [{ source: 414 }, { source: 9 }]")
    await bare.evaluate(LISTEN)
    await bare.evaluate(_OWN_CALL, [["8:ann", "Ann", 414], ["8:bob", "Bob", 415]])
    heard = "() => new RTCPeerConnection().addTransceiver('audio').receiver.getContributingSources().length"
    assert await bare.evaluate(heard) == 2
    assert (await _call(bare)).sources == {414: "Ann"}
    await bare.close()
