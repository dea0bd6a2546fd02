"""Takes what the scripts send out of the page: 16 kHz mono float32 frames of each track, and signs of who speaks."""

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.server import serve

from usher.bot.audio.documents import Desk
from usher.bot.audio.frames import Ears, Frame
from usher.bot.platforms.web.people import READ_PEOPLE

__all__ = ["Ears", "Frame", "Receiver", "Signs", "open_receiver"]

_MOST_FRAME_BYTES = 64 * 1024
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Signs:
    """How to watch the page's signs of who speaks, ten times a second.

    Run `script`, a function, in the frame of the page that shows the people, with `argument(people)`. Idempotent: a
    document that is watched already is watched on.
    """

    script: str
    url: str
    secret: str = field(repr=False)

    def argument(self, people: dict[str, Any]) -> dict[str, Any]:
        """Return the argument of the script.

        Args:
            people: Where the page shows people, as `web.knowledge.People` dumped to JSON.
        """
        return {"url": self.url, "secret": self.secret, "people": people}


@dataclass(frozen=True, slots=True)
class Receiver:
    """An open receiver.

    Attributes:
        script: What the page has to run before anything else.
        signs: What the page has to run when the bot is in the meeting.
    """

    script: str = field(repr=False)
    signs: Signs


@asynccontextmanager
async def open_receiver(ears: Ears, *, away_s: float = 10.0) -> AsyncIterator[Receiver]:
    """Listen on a loopback port for the page's documents, which prove themselves by a secret made for this visit.

    Args:
        ears: Who hears.
        away_s: How long a document may be without a connection before its tracks are over.
    """
    secret = secrets.token_urlsafe(24)
    desk = Desk(ears, secret, away_s)
    async with serve(
        desk.serve, "127.0.0.1", 0, compression=None, max_size=_MOST_FRAME_BYTES, ping_interval=None
    ) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        config = json.dumps({"url": url, "secret": secret, "worker": _read("capture_worker.js")})
        watch = _read("signs.js").replace("__PEOPLE__", READ_PEOPLE)
        yield Receiver(_read("capture.js").replace("__CONFIG__", config), Signs(watch, url, secret))


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
