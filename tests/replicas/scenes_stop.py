"""A bot is stopped at each step of its way."""

from tests.replicas.bot_visit import ON_THE_WAY, WAIT_S, admitted, at_once, check_told, over, send
from tests.replicas.stage import Departure, ReplicaStage, Stage
from tests.support.bot_process import BotProcess
from tests.support.bot_theatre import Theatre
from tests.support.eventually import eventually

from usher.protocol.commands import Leave


async def a_stop_as_it_starts(stage: Stage, theatre: Theatre) -> None:
    """It is ended while its browser starts."""
    await stage.person("Ann", host=True)
    bot = await send(stage, theatre)
    await theatre.told("joining")
    await _stopped(stage, theatre, bot, "closed")


async def a_stop_as_the_page_opens(stage: ReplicaStage, theatre: Theatre) -> None:
    """It is ended while the page draws itself for the first time."""
    stage.meeting.appear(slow_ms=1500)
    bot = await send(stage, theatre)
    await eventually(lambda: stage.bot.opened > 0, timeout_s=WAIT_S)
    await _stopped(stage, theatre, bot, "closed")


async def a_stop_before_the_request(stage: ReplicaStage, theatre: Theatre) -> None:
    """It is ended where it gives its name."""
    bot = await send(stage, theatre)
    await eventually(lambda: stage.bot.opened > 0 and stage.meeting.phase == "prejoin", timeout_s=WAIT_S)
    await _stopped(stage, theatre, bot, "closed")


async def a_stop_in_the_lobby(stage: Stage, theatre: Theatre) -> None:
    """It is told to leave while it waits: it does at once, and takes its request back."""
    await stage.person("Ann", host=True)
    bot = await send(stage, theatre)
    await stage.knock()
    await theatre.told("awaiting_admission")
    bot.look()
    await theatre.command(bot, Leave(seq=1))
    await at_once(over(stage, theatre, bot, "stopped", departure="cancelled"))
    check_told(theatre, ON_THE_WAY)


async def a_stop_inside(stage: Stage, theatre: Theatre) -> None:
    """It is ended inside of the meeting by its launcher's signal."""
    await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre)
    await _stopped(stage, theatre, bot, "left")


async def _stopped(stage: Stage, theatre: Theatre, bot: BotProcess, departure: Departure) -> None:
    bot.look()
    bot.terminate()
    await at_once(over(stage, theatre, bot, "stopped", departure=departure))


SCENES = (
    a_stop_as_it_starts,
    a_stop_as_the_page_opens,
    a_stop_before_the_request,
    a_stop_in_the_lobby,
    a_stop_inside,
)
