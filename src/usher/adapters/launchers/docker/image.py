"""The bot's image on one engine."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from usher.adapters.launchers.docker.container import DockerOptions
from usher.adapters.launchers.docker.engine import Engine, Refused
from usher.domain.errors import LaunchRejected
from usher.domain.lifecycle import Reason

log = structlog.get_logger(__name__)

_T = TypeVar("_T")


class BotImage:
    """Pulls the image when a container cannot be made for want of it, once for all that wait for it."""

    def __init__(self, engine: Engine, options: DockerOptions) -> None:
        self._engine = engine
        self._options = options
        self._pulling = asyncio.Lock()

    async def with_image(self, make: Callable[[], Awaitable[_T]]) -> _T:
        """Make something of the image; pull it if the engine does not have it and the options allow that.

        Raises:
            LaunchRejected: The image is missing and cannot be had.
            Unavailable: What `make` raises; or the pull takes too long.
        """
        try:
            return await make()
        except Refused as refusal:
            if not _lacks_image(refusal):
                raise
            if self._options.pull != "missing":
                raise self._missing(refusal) from None
        async with self._pulling:
            if not await self._is_there():
                await self._pull()
        try:
            return await make()
        except Refused as refusal:
            if _lacks_image(refusal):
                raise self._missing(refusal) from None
            raise

    async def _is_there(self) -> bool:
        try:
            await self._engine.ask("GET", f"images/{self._options.image}/json")
        except Refused as refusal:
            if refusal.status == 404:
                return False
            raise
        return True

    async def _pull(self) -> None:
        log.info("image_pulled", image=self._options.image)
        try:
            await self._engine.pull(self._options.image, timeout_s=self._options.pull_timeout_s)
        except Refused as refusal:
            raise self._missing(refusal) from None

    def _missing(self, refusal: Refused) -> LaunchRejected:
        return LaunchRejected(f"the image {self._options.image} is missing: {refusal.said}", Reason.IMAGE_MISSING)


def _lacks_image(refusal: Refused) -> bool:
    """Tell a missing image from a missing network, which has the same status."""
    return refusal.status == 404 and "no such image" in refusal.said.lower()
