"""Sends one message over HTTP, to an address that was looked at first."""

import asyncio
import ssl
import time
from contextlib import suppress

import httpx

from usher.adapters.webhooks.addresses import Resolve, SystemResolver
from usher.ports import Delivered, Notice, Undelivered, Webhook
from usher.protocol.retry_after import retry_after_s
from usher.protocol.webhook_urls import Address, is_outside, why_never
from usher.protocol.webhooks import sign

_RESOLVE_S = 3.0
_CONNECT_S = 5.0
_TRY_S = 10.0
_MOST_CONNECTIONS = 256
_LONGEST_RETRY_AFTER_S = 3600.0
_GONE = 410
_PASSING = frozenset({408, 425, 429})


class HttpWebhookSender:
    """Posts to users' servers. What users name can be anything, so it is held to be hostile.

    The host is resolved here, every address that it has must be a public one, and the connection goes to the address
    that was looked at: a name that changes its mind between the look and the connection changes nothing. No redirect is
    followed, no proxy is taken from the environment, no cookie is kept, no connection is used twice (it would have been
    verified for another name), and of the answer only the first line and headers are read.

    Args:
        allow_private: Also send to inner addresses, and without TLS: for development.
        resolver: Finds addresses; without one, the system's resolver.
        verify: Whether certificates are checked, or the context to check them with.
        try_s: How long one try may take, in seconds.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        resolver: Resolve | None = None,
        verify: ssl.SSLContext | bool = True,
        try_s: float = _TRY_S,
    ) -> None:
        self._allow_private = allow_private
        self._names = SystemResolver()
        self._resolver = resolver or self._names
        self._try_s = try_s
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(try_s, connect=_CONNECT_S),
            limits=httpx.Limits(max_connections=_MOST_CONNECTIONS, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
            verify=verify,
            headers={"User-Agent": "Usher-Webhooks/1", "Content-Type": "application/json"},
        )

    async def aclose(self) -> None:
        """Close what is open."""
        self._names.close()
        await self._http.aclose()

    async def send(self, webhook: Webhook, notice: Notice) -> Delivered | Undelivered:
        """Make one try, in 10 seconds at most."""
        never = why_never(webhook.url, allow_private=self._allow_private)
        if never is not None:
            return Undelivered(never, lasting=True)
        try:
            url = httpx.URL(webhook.url)
            async with asyncio.timeout(self._try_s):
                addresses = await self._addresses_of(url)
                if not addresses:
                    return Undelivered("Its host is not a public one.", lasting=True)
                return await self._post(url, addresses, webhook, notice)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, UnicodeError) as error:
            return Undelivered(type(error).__name__)

    async def _addresses_of(self, url: httpx.URL) -> list[Address]:
        """Return the addresses to try, or none if not all that the host has are such as may be sent to."""
        async with asyncio.timeout(_RESOLVE_S):
            found = await self._resolver(_name(url), url.port or (443 if url.scheme == "https" else 80))
        allowed = self._allow_private or all(is_outside(address) for address in found)
        return _to_try(found) if allowed else []

    async def _post(
        self, url: httpx.URL, addresses: list[Address], webhook: Webhook, notice: Notice
    ) -> Delivered | Undelivered:
        *first, last = addresses
        for address in first:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await self._post_to(address, url, webhook, notice)
        return await self._post_to(last, url, webhook, notice)

    async def _post_to(
        self, address: Address, url: httpx.URL, webhook: Webhook, notice: Notice
    ) -> Delivered | Undelivered:
        signed = sign(webhook.secret, notice.notice_id, int(time.time()), notice.body, old_secret=webhook.old_secret)
        request = self._http.build_request(
            "POST",
            url.copy_with(host=str(address)),
            content=notice.body,
            headers={"Host": url.netloc.decode(), **signed},
            extensions={"sni_hostname": _name(url)},
        )
        answer = await self._http.send(request, stream=True)
        await answer.aclose()
        return Delivered(answer.status_code) if answer.is_success else _refusal(answer)


def _name(url: httpx.URL) -> str:
    """Return the host as it goes over wires: in ASCII, and without the dot of the root, which no certificate has."""
    return url.raw_host.decode().removesuffix(".")


def _to_try(found: list[Address]) -> list[Address]:
    """Return two addresses at most, of both families if there are both: one of them may lead nowhere from here."""
    other = next((address for address in found if address.version != found[0].version), None)
    return [found[0], other] if other is not None else found[:2]


def _refusal(answer: httpx.Response) -> Undelivered:
    code = answer.status_code
    return Undelivered(
        f"HTTP {code}",
        unwanted=code == _GONE,
        lasting=not answer.is_server_error and code not in _PASSING,
        retry_after_s=min(retry_after_s(answer.headers.get("retry-after")) or 0.0, _LONGEST_RETRY_AFTER_S),
        status_code=code,
    )
