"""Messages to users' servers: signed, tried once, and never sent to where a user must not reach."""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import NoReturn

import pytest

from usher.adapters.webhooks import HttpWebhookSender
from usher.client.webhooks import verify
from usher.ports import Delivered, Notice, Undelivered, Webhook
from usher.protocol.webhook_urls import Address
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
        self.endless = self.dripping = False
        self.silent = asyncio.Event()
        self.silent.set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            self.heads.append(head)
            self.bodies.append(await reader.readexactly(int(self.header("content-length"))))
            await self.silent.wait()
            while self.dripping:
                writer.write(b"H")
                await writer.drain()
                await asyncio.sleep(0.05)
            writer.write(self.answer)
            while self.endless:
                writer.write(b"x" * 65536)
                await writer.drain()
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def url(self, host: str = "127.0.0.1", *, scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}/hook?x=1"

    def header(self, name: str) -> str:
        lines = self.heads[-1].decode().split("\r\n")
        return next(line.partition(":")[2].strip() for line in lines if line.lower().startswith(f"{name}:"))


@asynccontextmanager
async def listening(tls: ssl.SSLContext | None = None) -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    server = await asyncio.start_server(endpoint, "127.0.0.1", 0, ssl=tls)
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


async def test_receivers_that_were_written_for_vexa_can_check_it_too(
    endpoint: Endpoint, sender: HttpWebhookSender
) -> None:
    secret = new_secret()
    assert await sender.send(Webhook(endpoint.url(), secret), NOTICE) == Delivered()
    signed = f"{endpoint.header('x-webhook-timestamp')}.".encode() + endpoint.bodies[-1]
    expected = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    assert endpoint.header("x-webhook-signature") == f"sha256={expected}"
    assert secret.encode() not in endpoint.heads[-1], "the secret itself is never sent"


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (b"200 OK", Delivered()),
        (b"302 Found\r\nLocation: http://169.254.169.254/", Undelivered("HTTP 302", lasting=True)),
        (b"404 Not Found", Undelivered("HTTP 404", lasting=True)),
        (b"408 Timeout", Undelivered("HTTP 408")),
        (b"410 Gone", Undelivered("HTTP 410", unwanted=True, lasting=True)),
        (b"425 Early", Undelivered("HTTP 425")),
        (b"429 Too Many\r\nRetry-After: 17", Undelivered("HTTP 429", retry_after_s=17.0)),
        (b"500 Oops", Undelivered("HTTP 500")),
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


async def test_a_server_that_says_nothing_is_waited_for_and_then_left(endpoint: Endpoint) -> None:
    endpoint.silent.clear()
    sender = HttpWebhookSender(allow_private=True, try_s=0.5)
    async with asyncio.timeout(PATIENCE_S):
        outcome = await sender.send(Webhook(endpoint.url(), new_secret()), NOTICE)
    assert isinstance(outcome, Undelivered)
    assert not outcome.lasting
    endpoint.silent.set()
    await sender.aclose()


async def test_a_server_that_drips_is_left_too(endpoint: Endpoint) -> None:
    """There is always a byte before a read has taken too long, and never an answer."""
    endpoint.dripping = True
    sender = HttpWebhookSender(allow_private=True, try_s=1.0)
    async with asyncio.timeout(PATIENCE_S):
        assert await sender.send(Webhook(endpoint.url(), new_secret()), NOTICE) == Undelivered("TimeoutError")
    await sender.aclose()


async def test_a_name_that_nobody_answers_for_is_left(endpoint: Endpoint) -> None:
    async def resolve(_host: str, _port: int) -> list[Address]:
        await asyncio.Event().wait()
        return []

    sender = HttpWebhookSender(allow_private=True, resolver=resolve, try_s=0.5)
    async with asyncio.timeout(PATIENCE_S):
        assert await sender.send(Webhook(endpoint.url(), new_secret()), NOTICE) == Undelivered("TimeoutError")
    assert not endpoint.heads
    await sender.aclose()


async def test_proxies_of_the_environment_are_not_used(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    sender = HttpWebhookSender(allow_private=True)
    assert await sender.send(Webhook(endpoint.url(), new_secret()), NOTICE) == Delivered()
    await sender.aclose()


def resolving(addresses: list[str], *, allow_private: bool = False) -> HttpWebhookSender:
    """Return a sender to whom every name has these addresses."""

    async def resolve(_host: str, _port: int) -> list[Address]:
        return [ipaddress.ip_address(text) for text in addresses]

    return HttpWebhookSender(allow_private=allow_private, resolver=resolve)


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::ffff:10.0.0.1"], []])
async def test_a_name_that_leads_inside_is_not_sent_to(endpoint: Endpoint, addresses: list[str]) -> None:
    sender = resolving(addresses)
    outcome = await sender.send(Webhook(endpoint.url("innocent.example", scheme="https"), new_secret()), NOTICE)
    assert outcome == Undelivered("Its host is not a public one.", lasting=True)
    assert not endpoint.heads
    await sender.aclose()


async def test_without_tls_nothing_is_sent() -> None:
    sender = resolving(["8.8.8.8"])
    outcome = await sender.send(Webhook("http://example.com/", new_secret()), NOTICE)
    assert outcome == Undelivered("It has to begin with https://.", lasting=True)
    await sender.aclose()


@pytest.mark.parametrize(
    "addresses", [["::1", "127.0.0.1"], ["127.0.0.3", "127.0.0.1"], ["127.0.0.3", "127.0.0.4", "::1"]]
)
async def test_an_address_where_nobody_listens_is_not_the_last_word(endpoint: Endpoint, addresses: list[str]) -> None:
    sender = resolving(addresses, allow_private=True)
    outcome = await sender.send(Webhook(endpoint.url("two.example"), new_secret()), NOTICE)
    assert outcome == (Delivered() if "127.0.0.1" in addresses else Undelivered("ConnectError"))
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


async def test_a_name_that_changes_its_mind_is_looked_at_anew_before_each_message(endpoint: Endpoint) -> None:
    """DNS rebinding from one message to the next: outside when the webhook was set, inside now, and the other way."""
    answers = iter(
        [["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"], ["168.63.129.16"], ["127.0.0.1"]]
    )

    async def resolve(_host: str, _port: int) -> list[Address]:
        return [ipaddress.ip_address(text) for text in next(answers)]

    sender = HttpWebhookSender(resolver=resolve)
    webhook = Webhook(endpoint.url("rebinding.example", scheme="https"), new_secret())
    for _ in range(5):
        assert await sender.send(webhook, NOTICE) == Undelivered("Its host is not a public one.", lasting=True)
    assert not endpoint.heads
    await sender.aclose()


async def test_while_a_secret_is_replaced_both_sign(endpoint: Endpoint, sender: HttpWebhookSender) -> None:
    new, old = new_secret(), new_secret()
    assert await sender.send(Webhook(endpoint.url(), new, old), NOTICE) == Delivered()
    headers = {name: endpoint.header(name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    for secret in (new, old):
        assert verify(endpoint.bodies[-1], headers, secret) == {"event_id": "msg_7_3"}


async def test_the_status_of_the_answer_is_told(endpoint: Endpoint, sender: HttpWebhookSender) -> None:
    assert (await sender.send(Webhook(endpoint.url(), new_secret()), NOTICE)).status_code == 204
    endpoint.answer = b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n"
    assert (await sender.send(Webhook(endpoint.url(), new_secret()), NOTICE)).status_code == 503
    assert (await sender.send(Webhook("http://127.0.0.1:1/", new_secret()), NOTICE)).status_code is None


async def test_a_stored_url_that_leads_inside_is_not_even_resolved() -> None:
    """What is in the store may be from before a rule, or from before `allow_private` was switched off."""

    async def resolve(host: str, _port: int) -> list[Address]:
        raise AssertionError(host)

    sender = HttpWebhookSender(resolver=resolve)
    for host in ("127.1", "2130706433", "localhost", "ann:secret@example.com", "example.com:22"):
        outcome = await sender.send(Webhook(f"https://{host}/", new_secret()), NOTICE)
        assert isinstance(outcome, Undelivered)
        assert outcome.lasting
    await sender.aclose()


async def test_names_are_asked_for_in_threads_of_our_own(endpoint: Endpoint) -> None:
    """The loop's few common threads are what the database and Redis are found with."""
    asyncio.get_running_loop().set_default_executor(RefusingExecutor())
    sender = HttpWebhookSender(allow_private=True)
    assert await sender.send(Webhook(endpoint.url("localhost"), new_secret()), NOTICE) == Delivered()
    await sender.aclose()


class RefusingExecutor(ThreadPoolExecutor):
    """Fails whoever uses it."""

    def submit(self, *_: object, **__: object) -> NoReturn:
        raise AssertionError("the common threads were used")


def test_secrets() -> None:
    assert is_secret(new_secret())
    assert new_secret() != new_secret()
    assert not is_secret("whsec_" + base64.b64encode(b"x" * 23).decode())
    assert not is_secret(base64.b64encode(b"x" * 32).decode())
    assert not is_secret("whsec_not base64 at all!!")
