"""What scenarios do alike: send a bot, let it in, and check how it asked, how it ended and how it went."""

import asyncio
from collections.abc import Awaitable, Sequence

from tests.replicas.stage import Departure, Stage
from tests.support.bot_process import BotProcess
from tests.support.bot_theatre import Theatre

WAIT_S = 60.0
ON_THE_WAY = ("joining", "awaiting_admission")
INSIDE = (*ON_THE_WAY, "started")

_AT_ONCE_S = 20.0
_WALLS = ("captcha", "blocked", "sign_in_required", "meeting_not_found")
_PATIENCE = {
    "join_s": 60.0,
    "admission_s": 60.0,
    "reconnect_s": 60.0,
    "alone_s": 60.0,
    "no_one_joined_s": 60.0,
    "heartbeat_s": 0.5,
}


async def send(stage: Stage, theatre: Theatre, **patience: float) -> BotProcess:
    """Send a bot to the call."""
    return await theatre.start(stage.platform, stage.url, stage.browser, **{**_PATIENCE, **patience})


async def admitted(stage: Stage, theatre: Theatre, **patience: float) -> BotProcess:
    """Send a bot, let it in from the lobby, and check how it asked."""
    bot = await send(stage, theatre, **patience)
    await stage.knock()
    await theatre.told("awaiting_admission")
    await stage.admit()
    await theatre.told("started")
    check_manners(stage)
    bot.look()
    return bot


def check_manners(stage: Stage) -> None:
    """Check that it asked under its name, with microphone and camera off."""
    assert (stage.bot.name, stage.bot.microphone, stage.bot.camera) == ("Usher", False, False)


async def over(
    stage: Stage, theatre: Theatre, bot: BotProcess, reason: str, *, exit_code: int = 0, departure: Departure = "over"
) -> None:
    """Check how the bot ends, how it went from the call, and what it showed of a page on which it did not get on."""
    await theatre.ended(bot, exit_code, reason)
    await stage.gone(departure)
    shown = [one for one in theatre.manager.evidence if one["reason"] == reason]
    assert len(shown) == (1 if exit_code or reason in _WALLS else 0), theatre.manager.evidence
    if reason in _WALLS:
        assert all(shown[0][part] for part in ("step", "screenshot", "tree")), shown


async def at_once(ending: Awaitable[None]) -> None:
    """Wait for an end that comes without delay."""
    async with asyncio.timeout(_AT_ONCE_S):
        await ending


def check_told(theatre: Theatre, kinds: Sequence[str]) -> None:
    """Check what the manager was told, and in which order."""
    assert theatre.manager.kinds() == [*kinds, "exited"], theatre.manager.kinds()
