"""Sends one message over HTTP, to an address that was looked at first."""

import asyncio
import ssl
import time

import httpx
import structlog

from usher.adapters.webhooks.addresses import Address, Resolve, is_outside, resolve
from usher.ports import Delivered, Notice, Undelivered, Webhook
from usher.protocol.webhooks import sign

log = structlog.get_logger(__name__)

_RESOLVE_S = 3.0
_TRY_S = 10.0
_MOST_CONNECTIONS = 100
_LONGEST_RETRY_AFTER_S = 3600.0
_MOST_PORT = 65535
_GONE = 410


class HttpWebhookSender:
    """Posts to users' servers. What users name can be anything, so it is held to be hostile.

    The host is resolved here, every address that it has must be a public one, and the connection goes to the address
    that was looked at: a name that changes its mind between the look and the connection changes nothing. No redirect is
    followed, no proxy is taken from the environment, no cookie is kept, no connection is used twice (it would have been
    verified for another name), and of the answer only the first line and headers are read.

    Args:
        allow_private: Also send to inner addresses, and without TLS: for development.
        resolver: Finds addresses.
        verify: Whether certificates are checked, or the context to check them with.
    """

    def __init__(
        self, *, allow_private: bool = False, resolver: Resolve = resolve, verify: ssl.SSLContext | bool = True
    ) -> None:
        self._allow_private = allow_private
        self._resolver = resolver
        self._http = httpx.AsyncClient(
            timeout=_TRY_S,
            limits=httpx.Limits(max_connections=_MOST_CONNECTIONS, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
            verify=verify,
            headers={"User-Agent": "Usher-Webhooks/1", "Content-Type": "application/json"},
        )

    async def aclose(self) -> None:
        """Close what is open."""
        await self._http.aclose()

    async def send(self, webhook: Webhook, notice: Notice) -> Delivered | Undelivered:
        """Make one try, in 13 seconds at most."""
        try:
            url = httpx.URL(webhook.url)
            if url.scheme != "https" and not self._allow_private:
                return Undelivered("it is not https")
            address = await self._address_of(url)
            if address is None:
                return Undelivered("its host is not a public one")
            return await self._post(url, address, webhook.secret, notice)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError, UnicodeError) as error:
            return Undelivered(type(error).__name__)

    async def _address_of(self, url: httpx.URL) -> Address | None:
        """Return an address of the host, if all of them are such as may be sent to."""
        port = url.port or (443 if url.scheme == "https" else 80)
        if port > _MOST_PORT:
            return None
        async with asyncio.timeout(_RESOLVE_S):
            addresses = await self._resolver(url.host, port)
        allowed = self._allow_private or all(is_outside(address) for address in addresses)
        return addresses[0] if addresses and allowed else None

    async def _post(self, url: httpx.URL, address: Address, secret: str, notice: Notice) -> Delivered | Undelivered:
        headers = {"Host": url.netloc.decode(), **sign(secret, notice.notice_id, int(time.time()), notice.body)}
        request = self._http.build_request(
            "POST",
            url.copy_with(host=str(address)),
            content=notice.body,
            headers=headers,
            extensions={"sni_hostname": url.host},
        )
        async with asyncio.timeout(_TRY_S):
            answer = await self._http.send(request, stream=True)
            await answer.aclose()
        if answer.is_success:
            return Delivered()
        return Undelivered(f"HTTP {answer.status_code}", answer.status_code == _GONE, _retry_after_s(answer))


def _retry_after_s(answer: httpx.Response) -> float:
    """Return how long the server asks to be left alone, in seconds and within reason; 0 if it does not ask."""
    said = answer.headers.get("retry-after", "")
    return min(float(said), _LONGEST_RETRY_AFTER_S) if said.isdecimal() else 0.0
