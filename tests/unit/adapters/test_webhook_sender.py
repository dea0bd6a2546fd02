"""Messages to users' servers: signed, tried once, and never sent to where a user must not reach."""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from usher.adapters.webhooks import HttpWebhookSender
from usher.adapters.webhooks.addresses import Address, is_outside
from usher.ports import Delivered, Notice, Undelivered, Webhook
from usher.protocol.webhooks import is_secret, new_secret

NOTICE = Notice("msg_7_3", b'{"event_id":"msg_7_3"}')
PATIENCE_S = 30.0


class Endpoint:
    """A user's server that answers as it is told, and remembers what it was sent."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.port = 0
        self.endless = False

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            self.bodies.append(await reader.readexactly(int(self.header("content-length"))))
            writer.write(self.answer)
            while self.endless:
                writer.write(b"x" * 65536)
                await writer.drain()
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def url(self, host: str = "127.0.0.1", path: str = "/hook?x=1") -> str:
        return f"http://{host}:{self.port}{path}"

    def header(self, name: str) -> str:
        lines = self.heads[-1].decode().split("\r\n")
        return next(line.partition(":")[2].strip() for line in lines if line.lower().startswith(f"{name}:"))


@asynccontextmanager
async def listening() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    server = await asyncio.start_server(endpoint, "127.0.0.1", 0)
    endpoint.port = server.sockets[0].getsockname()[1]
    try:
        yield endpoint
    finally:
        server.close()


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with listening() as made:
        yield made


@pytest.fixture
async def sender() -> AsyncIterator[HttpWebhookSender]:
    made = HttpWebhookSender(allow_private=True)
    yield made
    await made.aclose()


async def test_a_message_is_sent_and_signed_so_that_others_can_check_it(
    endpoint: Endpoint, sender: HttpWebhookSender
) -> None:
    secret = new_secret()
    assert await sender.send(Webhook(endpoint.url(), secret), NOTICE) == Delivered()
    assert endpoint.heads[-1].startswith(b"POST /hook?x=1 HTTP/1.1\r\n")
    assert endpoint.header("host") == f"127.0.0.1:{endpoint.port}"
    assert endpoint.header("webhook-id") == "msg_7_3"
    signed = b"msg_7_3." + endpoint.header("webhook-timestamp").encode() + b"." + endpoint.bodies[-1]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert endpoint.header("webhook-signature") == f"v1,{expected}"
    assert json.loads(endpoint.bodies[-1]) == {"event_id": "msg_7_3"}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (b"200 OK", Delivered()),
        (b"302 Found\r\nLocation: http://169.254.169.254/", Undelivered("HTTP 302")),
        (b"404 Not Found", Undelivered("HTTP 404")),
        (b"410 Gone", Undelivered("HTTP 410", unwanted=True)),
        (b"429 Too Many\r\nRetry-After: 17", Undelivered("HTTP 429", retry_after_s=17.0)),
        (b"503 Away\r\nRetry-After: 99999999", Undelivered("HTTP 503", retry_after_s=3600.0)),
        (b"503 Away\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT", Undelivered("HTTP 503")),
    ],
)
async def test_the_answer_says_what_to_do_next(
    endpoint: Endpoint, sender: HttpWebhookSender, status: bytes, expected: Delivered | Undelivered
) -> None:
    endpoint.answer = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"
    assert await sender.send(Webhook(endpoint.url(), new_secret()), NOTICE) == expected
    assert len(endpoint.heads) == 1, "no redirect is followed"


async def test_an_endless_answer_is_not_read(endpoint: Endpoint, sender: HttpWebhookSender) -> None:
    endpoint.answer, endpoint.endless = b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n", True
    async with asyncio.timeout(PATIENCE_S):
        assert await sender.send(Webhook(endpoint.url(), new_secret()), NOTICE) == Delivered()


@pytest.mark.parametrize("answer", [b"", b"not HTTP at all\r\n\r\n"])
async def test_a_server_that_talks_nonsense_is_an_answer_too(
    endpoint: Endpoint, sender: HttpWebhookSender, answer: bytes
) -> None:
    endpoint.answer = answer
    assert isinstance(await sender.send(Webhook(endpoint.url(), new_secret()), NOTICE), Undelivered)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://", "nonsense", "http://[::1", "http://127.0.0.1:99999/"]
)
async def test_nobody_there_is_an_answer_too(sender: HttpWebhookSender, url: str) -> None:
    assert isinstance(await sender.send(Webhook(url, new_secret()), NOTICE), Undelivered)


OUTSIDE = ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"]
INSIDE = [
    "127.0.0.1",
    "0.0.0.0",  # noqa: S104 - an address to refuse, not to listen on
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::808:808",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "2001:0:808:808::",
    "2001:db8::1",
]


@pytest.mark.parametrize(("text", "outside"), [(t, True) for t in OUTSIDE] + [(t, False) for t in INSIDE])
def test_which_addresses_are_outside(text: str, *, outside: bool) -> None:
    assert is_outside(ipaddress.ip_address(text)) is outside


def resolving(*answers: list[str]) -> HttpWebhookSender:
    """Return a sender whose resolver answers so, one time after the other."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> list[Address]:
        return [ipaddress.ip_address(text) for text in left.pop(0)]

    return HttpWebhookSender(resolver=resolve)


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:10.0.0.1"], []])
async def test_a_name_that_leads_inside_is_not_sent_to(endpoint: Endpoint, addresses: list[str]) -> None:
    sender = resolving(addresses)
    outcome = await sender.send(Webhook(f"https://innocent.example:{endpoint.port}/", new_secret()), NOTICE)
    assert outcome == Undelivered("its host is not a public one")
    assert not endpoint.heads
    await sender.aclose()


async def test_without_tls_nothing_is_sent() -> None:
    sender = resolving(["8.8.8.8"])
    assert await sender.send(Webhook("http://example.com/", new_secret()), NOTICE) == Undelivered("it is not https")
    await sender.aclose()


async def test_the_name_is_asked_for_once_and_the_connection_goes_to_that_answer(endpoint: Endpoint) -> None:
    """DNS rebinding: whatever the name leads to afterwards, nobody asks again."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> list[Address]:
        asked.append(host)
        return [ipaddress.ip_address("127.0.0.1")]

    sender = HttpWebhookSender(allow_private=True, resolver=resolve)
    url = endpoint.url("no-such-host.invalid")
    assert await sender.send(Webhook(url, new_secret()), NOTICE) == Delivered()
    assert asked == ["no-such-host.invalid"]
    assert endpoint.header("host") == f"no-such-host.invalid:{endpoint.port}"
    await sender.aclose()


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f000001", "017700000001", "localhost"])
async def test_other_ways_to_write_an_inner_address_lead_nowhere(host: str) -> None:
    sender = HttpWebhookSender()
    assert isinstance(await sender.send(Webhook(f"https://{host}/", new_secret()), NOTICE), Undelivered)
    await sender.aclose()


def test_secrets() -> None:
    assert is_secret(new_secret())
    assert new_secret() != new_secret()
    assert not is_secret("whsec_" + base64.b64encode(b"x" * 23).decode())
    assert not is_secret(base64.b64encode(b"x" * 32).decode())
    assert not is_secret("whsec_not base64 at all!!")
