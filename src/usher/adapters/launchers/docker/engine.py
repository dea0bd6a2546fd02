"""One Docker engine, spoken to over its HTTP API, with a limit on every call and two kinds of failure."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp
from aiodocker import Docker, DockerError

from usher.domain.errors import Unavailable

_NO_CONNECTION = 900
"""Status under which aiodocker reports that there was no connection."""


class Refused(Unavailable):
    """The engine answered that it will not, or could not, do it.

    Args:
        status: The HTTP status of its answer.
        said: Its own words.
    """

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"the Docker engine says: {said}")
        self.status = status
        self.said = said


class Engine:
    """Asks one engine. Connects when it is first asked.

    Args:
        url: `unix:///path`, `tcp://host:port` or `ssh://user@host`; TLS as the Docker command line takes it from
            `DOCKER_TLS_VERIFY` and `DOCKER_CERT_PATH`.
        timeout_s: How long an answer may take where the call does not say otherwise.
    """

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._docker: Docker | None = None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        timeout_s: float | None = None,
    ) -> Any:  # noqa: ANN401 - the engine's documents are read where their shape is known
        """Send one request, once, and return what the answer's body says.

        Raises:
            Refused: The engine answered with an error.
            Unavailable: It did not answer; what was asked for may have happened or not.
        """
        docker = self._connection()
        with self._heard():
            async with asyncio.timeout(timeout_s or self._timeout_s):
                return await docker._query_json(path, method, params=params, data=body)  # noqa: SLF001 - the library's door to every endpoint

    async def stream(self, path: str, *, params: Mapping[str, str], silence_s: float) -> AsyncGenerator[bytes]:
        """Yield what the engine sends in answer to a GET, piece by piece, until it ends or is silent for too long.

        Raises:
            Refused: The engine answered with an error.
            Unavailable: It did not answer, or stopped in the middle.
        """
        docker = self._connection()
        limits = aiohttp.ClientTimeout(sock_connect=self._timeout_s, sock_read=silence_s)
        with self._heard():
            async with docker._query(path, params=params, timeout=limits) as response:  # noqa: SLF001 - as above
                try:
                    async for piece in response.content.iter_any():
                        yield piece
                finally:
                    response.close()

    async def pull(self, image: str, *, timeout_s: float) -> None:
        """Pull an image from its registry.

        Raises:
            Refused: The engine cannot get it.
            Unavailable: It did not answer, or needs longer than that.
        """
        docker = self._connection()
        with self._heard():
            async with asyncio.timeout(timeout_s):
                await docker.images.pull(image)

    async def aclose(self) -> None:
        """Close the connections. The engine can be asked again afterwards."""
        docker, self._docker = self._docker, None
        if docker is not None:
            await docker.close()

    def _connection(self) -> Docker:
        if self._docker is None:
            self._docker = Docker(url=self._url)
        return self._docker

    @contextmanager
    def _heard(self) -> Iterator[None]:
        """Tell an answer that is an error from no answer."""
        try:
            yield
        except DockerError as error:
            if error.status != _NO_CONNECTION:
                raise Refused(error.status, error.message) from None
            raise self._silence("cannot be reached") from None
        except TimeoutError:
            raise self._silence("does not answer in time") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._silence(f"broke off: {error or type(error).__name__}") from None

    def _silence(self, what: str) -> Unavailable:
        # After a pause the engine may be another version, with which the language has to be agreed on anew.
        if self._docker is not None:
            self._docker.api_version = "auto"
        return Unavailable(f"the Docker engine {what}")


def labelled(labels: Mapping[str, str], **more: list[str]) -> dict[str, str]:
    """Return query parameters that ask for what carries all of `labels`."""
    wanted = [f"{key}={value}" for key, value in labels.items()]
    return {"filters": json.dumps({"label": wanted, **more})}
