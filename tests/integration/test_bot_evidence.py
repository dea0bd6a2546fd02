"""Evidence of a step that did not work, from real pages in a real browser."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.async_api import Page, Route
from tests.support.bot_manager_server import serving

from usher.adapters.embedded.chromium import find_chromium
from usher.bot.browser import Outfit, open_browser
from usher.bot.evidence import collect
from usher.domain.lifecycle import Reason
from usher.protocol.evidence import MOST_SCREENSHOT_BYTES, MOST_TREE_BYTES

pytestmark = pytest.mark.timeout(90)

_JPEG = b"\xff\xd8\xff"
_SECRET = "pa55code"
_NAME = "Nora Typed"

_JOIN = """<!doctype html><title>Join</title><body style="margin:0">
<h1>Ready to join?</h1>
<label>Your name <input id="name"></label>
<label>Passcode <input id="code" type="password"></label>
<label>Search <input type="search" id="search"></label>
<label>City <input role="combobox" id="city"></label>
<textarea aria-label="Message" id="message"></textarea>
<div role="textbox" contenteditable="true" aria-label="Note" id="note"></div>
<div contenteditable="true" id="loose"></div>
<a href="/join?pwd=pa55code#pa55code">Join by link</a>
<p>Invite others: https://meet.example/abc?pwd=pa55code now</p>
<button>Ask to join</button>
<iframe src="/frame?pwd=pa55code" title="lobby"></iframe>"""
_FRAME = """<!doctype html><body><p>Waiting room</p><label>In the frame <input id="inner"></label>"""
_FIELDS = ("name", "code", "search", "city", "message", "note", "loose")


def _app() -> FastAPI:
    app = FastAPI()
    pages = {"/abc/join": _JOIN, "/frame": _FRAME}
    for path, content in pages.items():
        app.get(path, response_class=HTMLResponse)(lambda content=content: content)
    return app


@pytest_asyncio.fixture
async def url() -> AsyncIterator[str]:
    async with serving(_app()) as served:
        yield served


@pytest_asyncio.fixture
async def page() -> AsyncIterator[Page]:
    outfit = Outfit(find_chromium().path, headless=True, sandbox=os.geteuid() != 0)
    async with open_browser(outfit, script="") as browser:
        yield browser.page


async def _typed(page: Page, url: str) -> None:
    await page.goto(f"{url}/abc/join?pwd={_SECRET}#{_SECRET}")
    for field in _FIELDS:
        await page.locator(f"#{field}").fill(f"{_NAME} {_SECRET}")
    await page.frame_locator("iframe").locator("#inner").fill(f"{_NAME} {_SECRET}")


async def test_it_shows_the_page_without_what_was_typed(page: Page, url: str) -> None:
    await _typed(page, url)
    seen = await collect(page, "ask_to_join", Reason.JOIN_FAILED)
    assert (seen.step, seen.reason, seen.title) == ("ask_to_join", "join_failed", "Join")
    assert seen.address == f"{url}/abc/join"
    assert seen.screenshot is not None
    assert seen.screenshot.startswith(_JPEG)
    for shown in ("Ready to join?", "Your name", "Ask to join", "Join by link", "Waiting room", "In the frame"):
        assert shown in seen.tree
    assert "https://meet.example/abc now" in seen.tree
    assert f"# frame {url}/frame" in seen.tree
    everything = f"{seen.title} {seen.address} {seen.tree}"
    assert _SECRET not in everything
    assert _NAME not in everything


async def test_fields_are_covered_in_the_picture(page: Page, url: str) -> None:
    """The same page with other words in its fields makes the same picture."""
    pictures = []
    for words in ("", _NAME, _SECRET * 3):
        await page.goto(f"{url}/abc/join")
        for field in _FIELDS:
            await page.locator(f"#{field}").fill(words)
        await page.evaluate("document.activeElement.blur()")
        await page.evaluate("document.querySelector('#loose').style.height = '20px'")
        pictures.append((await collect(page, "look")).screenshot)
    assert pictures[0] is not None
    assert pictures[0] == pictures[1] == pictures[2]
    await page.evaluate("document.querySelector('h1').textContent = 'You were removed'")
    assert (await collect(page, "look")).screenshot != pictures[0]


async def test_it_is_of_a_size_that_the_manager_takes(page: Page) -> None:
    await page.set_content("<title>" + "t" * 999 + "</title><canvas width=1280 height=720></canvas>")
    await page.evaluate(
        """() => {
            const context = document.querySelector('canvas').getContext('2d');
            const noise = context.createImageData(1280, 720);
            for (let i = 0; i < noise.data.length; i++) noise.data[i] = i % 4 === 3 ? 255 : Math.random() * 256;
            context.putImageData(noise, 0, 0);
            const list = document.createElement('ul');
            for (let i = 0; i < 4000; i++) {
                list.append(Object.assign(document.createElement('li'), {textContent: '€ '.repeat(20) + i}));
            }
            document.body.append(list);
        }"""
    )
    seen = await collect(page, "s" * 300)
    assert len(seen.step) == 100
    assert len(seen.title) == 300
    assert seen.screenshot is not None
    assert 100_000 < len(seen.screenshot) <= MOST_SCREENSHOT_BYTES
    assert MOST_TREE_BYTES - 200 < len(seen.tree.encode()) <= MOST_TREE_BYTES
    assert re.fullmatch(r"\s*- listitem: .*", seen.tree.splitlines()[-1])


async def test_a_frozen_page_tells_where_it_is(page: Page, url: str) -> None:
    await page.goto(f"{url}/abc/join?pwd={_SECRET}")
    freezing = asyncio.create_task(page.evaluate("() => { for (;;) {} }"))
    await asyncio.sleep(0.5)
    began_s = asyncio.get_running_loop().time()
    seen = await collect(page, "look", Reason.PAGE_FROZEN)
    assert asyncio.get_running_loop().time() - began_s < 8.0
    assert (seen.step, seen.address) == ("look", f"{url}/abc/join")
    freezing.cancel()
    await asyncio.gather(freezing, return_exceptions=True)


async def test_a_page_that_is_gone_tells_its_step(page: Page, url: str) -> None:
    await page.goto(f"{url}/abc/join")
    await page.close()
    began_s = asyncio.get_running_loop().time()
    seen = await collect(page, "look", Reason.PAGE_CRASHED)
    assert asyncio.get_running_loop().time() - began_s < 8.0
    assert (seen.step, seen.reason, seen.screenshot, seen.tree) == ("look", "page_crashed", None, "")


async def test_a_page_that_never_loads_is_still_seen(page: Page, url: str) -> None:
    async def hang(route: Route) -> None:
        await asyncio.sleep(60)
        await route.abort()

    await page.goto(f"{url}/abc/join")
    await page.route("**/slow.png", hang)
    await page.evaluate("() => { document.body.append(Object.assign(new Image(), {src: '/slow.png'})); }")
    seen = await collect(page, "look")
    assert seen.screenshot is not None
    assert "Ready to join?" in seen.tree


async def test_addresses_that_hold_their_content_are_not_told(page: Page) -> None:
    address: Any = f"data:text/html,<p>{_SECRET}</p>"
    await page.goto(address)
    seen = await collect(page, "look")
    assert seen.address == "data:"
