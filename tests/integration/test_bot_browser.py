"""The bot's browser by itself: what it brings, and that its death and its freezing are noticed."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import psutil
import pytest

from usher.adapters.embedded.chromium import find_chromium
from usher.bot.browser import OpenBrowser, Outfit, open_browser
from usher.domain.lifecycle import Reason

pytestmark = pytest.mark.timeout(90)

_PAGE = b"<!doctype html><title>Meeting</title><p>Hello"


@dataclass
class _Server:
    """Answers every request with the same page; for a proxy's client, too, and then only with the right password."""

    url: str = ""
    password: str | None = None
    requests: list[str] = field(default_factory=list)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        wanted = self.password and f"proxy-authorization: basic {base64.b64encode(self.password.encode()).decode()}"
        if wanted and wanted.lower() not in head.lower():
            writer.write(b'HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic realm="p"\r\nContent-Length: 0\r\n\r\n')
        else:
            self.requests.append(head)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + _PAGE)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def _server(password: str | None = None) -> AsyncIterator[_Server]:
    served = _Server(password=password)
    async with await asyncio.start_server(served.handle, "127.0.0.1", 0) as listening:
        served.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield served


@asynccontextmanager
async def _browser(proxy: str | None = None, profile: str | None = None) -> AsyncIterator[OpenBrowser]:
    outfit = Outfit(find_chromium().path, headless=True, sandbox=os.geteuid() != 0, proxy=proxy, profile=profile)
    async with open_browser(outfit, script="window.ran = true;") as browser:
        yield browser


def _renderers() -> list[psutil.Process]:
    family = psutil.Process().children(recursive=True)
    return [process for process in family if "--type=renderer" in process.cmdline()]


async def test_it_is_signed_in_with_the_users_profile_and_says_english() -> None:
    cookie = {"name": "SID", "value": "s3cret", "domain": "127.0.0.1", "path": "/", "expires": -1}
    flags = {"httpOnly": True, "secure": False, "sameSite": "Lax"}
    profile = json.dumps({"cookies": [{**cookie, **flags}], "origins": []})
    async with _server() as server, _browser(profile=profile) as browser:
        await browser.page.goto(server.url)
        assert await browser.page.evaluate("[navigator.language, window.ran]") == ["en-US", True]
    assert "Cookie: SID=s3cret" in server.requests[0]
    assert "Accept-Language: en-US" in server.requests[0]


async def test_it_goes_through_the_users_proxy_with_user_and_password() -> None:
    async with _server(password="ann:pass word") as proxy:
        url = proxy.url.replace("http://", "http://ann:pass%20word@")
        async with _browser(proxy=url) as browser:
            await browser.page.goto("http://meeting.example/abc")
            assert await browser.page.title() == "Meeting"
    assert proxy.requests[0].startswith("GET http://meeting.example/abc HTTP/1.1")


async def test_a_page_that_freezes_is_noticed_within_fifteen_seconds_and_the_browser_still_closes() -> None:
    async with _server() as server, _browser() as browser:
        await browser.page.goto(server.url)
        renderers = _renderers()
        assert renderers
        for renderer in renderers:
            renderer.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(15.0):
            await browser.health.broken.wait()
        assert browser.health.reason is Reason.PAGE_FROZEN
    assert not [process for process in renderers if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


async def test_a_page_that_pauses_for_some_seconds_is_not_taken_for_frozen() -> None:
    async with _server() as server, _browser() as browser:
        await browser.page.goto(server.url)
        for renderer in _renderers():
            renderer.send_signal(signal.SIGSTOP)
        await asyncio.sleep(6.0)
        for renderer in _renderers():
            renderer.send_signal(signal.SIGCONT)
        await asyncio.sleep(8.0)
        assert not browser.health.broken.is_set()


async def test_a_page_that_crashes_is_noticed_at_once() -> None:
    async with _server() as server, _browser() as browser:
        await browser.page.goto(server.url)
        for renderer in _renderers():
            renderer.send_signal(signal.SIGKILL)
        async with asyncio.timeout(5.0):
            await browser.health.broken.wait()
        assert browser.health.reason is Reason.PAGE_CRASHED
