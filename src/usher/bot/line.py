"""The line to the manager: HTTP for one attempt, which notices when the attempt is over."""

import asyncio
import random
from typing import Any

import httpx
import structlog

from usher.protocol.bot import BotConfiguration

log = structlog.get_logger(__name__)

_TIMEOUT_S = 5.0
_MOST_CONNECTIONS = 10
_RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
_LONGEST_JITTER = 0.2
_GONE = 410
_REFUSED = frozenset({401, 403, 404})
_TOO_MANY = 429
_NO_STORAGE = 507
_OF_ONE_THING = ("/commands/", "/recordings/", "/evidence", "/chat")
_NOBODY_BEHIND = frozenset({502, 504})

Body = dict[str, Any] | bytes
"""What a request carries: JSON, or bytes as they are."""

KEEP_ALIVE_S = 20.0
"""Longer than between two heartbeats, and shorter than the manager keeps a connection that is not used."""


class Line:
    """Carries requests to the manager's callbacks.

    Args:
        configuration: Where the manager is and what proves this attempt.
        retry_s: Seconds between tries, by their number.
        transport: Carries requests in the place of the network. The caller closes it.

    Attributes:
        over: Set when the manager says that the attempt is over: leave and exit.
        heard_at: When the manager answered last, in seconds of the event loop's clock.
    """

    def __init__(
        self,
        configuration: BotConfiguration,
        *,
        retry_s: tuple[float, ...] = _RETRY_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = f"{configuration.manager_url}/internal/bots/{configuration.connection_id}"
        self._headers = {"Authorization": f"Bearer {configuration.token.get_secret_value()}"}
        # Not a client: there is nothing to be redirected to, no cookie and no proxy of the environment to be found.
        self._transport = transport or httpx.AsyncHTTPTransport(
            limits=httpx.Limits(max_connections=_MOST_CONNECTIONS, keepalive_expiry=KEEP_ALIVE_S), trust_env=False
        )
        self._closes = transport is None
        self._retry_s = retry_s
        # Bots that lost the same manager do not come back in step, and a simulated bot does the same in every run.
        self._chance = random.Random(configuration.connection_id)  # noqa: S311 - nothing secret
        self.over = asyncio.Event()
        self.heard_at = asyncio.get_running_loop().time()

    async def close(self) -> None:
        """Close the connections."""
        if self._closes:
            await self._transport.aclose()

    async def ask(
        self, method: str, path: str, body: Body | None = None, *, timeout_s: float = _TIMEOUT_S
    ) -> httpx.Response | None:
        """Send one request and return its answer; None if there is none, or one that says to try again.

        A refusal means that the attempt is over. What is said of a command, a recording, evidence or the chat may be
        refused for its own sake, or because the manager is an older one: there only "gone" does.
        """
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._send(method, path, body)
        except (httpx.HTTPError, TimeoutError) as error:
            log.warning("manager_unreachable", path=path.partition("?")[0], error=type(error).__name__)
            return None
        status = answer.status_code
        if status not in _NOBODY_BEHIND:
            self.heard_at = asyncio.get_running_loop().time()
        if status == _GONE or (status in _REFUSED and not path.startswith(_OF_ONE_THING)):
            self.over.set()
        again = status == _TOO_MANY or (status >= 500 and status != _NO_STORAGE)
        return None if again else answer

    async def _send(self, method: str, path: str, body: Body | None) -> httpx.Response:
        content, json = (body, None) if isinstance(body, bytes) else (None, body)
        request = httpx.Request(method, self._url + path, headers=self._headers, content=content, json=json)
        answer = await self._transport.handle_async_request(request)
        try:
            await answer.aread()
        finally:
            await answer.aclose()
        return answer

    async def ask_until_answered(self, method: str, path: str, body: Body) -> httpx.Response | None:
        """Send one request until it is answered; None if the attempt was over first."""
        tries = 0
        while not self.over.is_set():
            answer = await self.ask(method, path, body)
            if answer is not None:
                return answer
            await self.wait(self.shortened(self._retry_s[min(tries, len(self._retry_s) - 1)]))
            tries += 1
        return None

    async def wait(self, seconds: float) -> None:
        """Wait so long, or until the attempt is over."""
        try:
            async with asyncio.timeout(seconds):
                await self.over.wait()
        except TimeoutError:
            return

    def shortened(self, seconds: float) -> float:
        """Return a time that is shorter by chance, by a fifth at most."""
        return seconds * (1.0 - _LONGEST_JITTER * self._chance.random())
