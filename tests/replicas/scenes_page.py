"""What a page may do to a bot."""

import asyncio
import signal

from tests.replicas.bot_visit import INSIDE, WAIT_S, admitted, check_told, over
from tests.replicas.stage import ReplicaStage, Stage
from tests.support.bot_process import BotProcess
from tests.support.bot_theatre import Theatre
from tests.support.eventually import eventually

_FROZEN_S = 15.0
# What a frozen page costs after it was found: evidence that is not to be had, and a browser that does not close.
_END_S = 15.0


async def dialogs_before_the_meeting(stage: ReplicaStage, theatre: Theatre) -> None:
    """Everything stands in the way that the platform may put there."""
    await stage.person("Ann", host=True)
    for dialog in stage.site.dialogs_before:
        stage.show(dialog)
    bot = await admitted(stage, theatre)
    assert {f"dialog {name}" for name in stage.site.dialogs_before} <= set(stage.bot.pressed)
    await stage.remove_bot()
    await over(stage, theatre, bot, "evicted")


async def dialogs_inside_the_meeting(stage: ReplicaStage, theatre: Theatre) -> None:
    """Dialogs come up one after another, and each is put away."""
    await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre)
    for dialog in stage.site.dialogs_inside:
        stage.show(dialog)
        await stage.pressed(f"dialog {dialog}")
    await stage.end_meeting()
    await over(stage, theatre, bot, "meeting_ended")


async def other_class_names(stage: ReplicaStage, theatre: Theatre) -> None:
    """Only roles, labels, test ids and texts are as known: the way in, who is there, and the way out are found."""
    stage.meeting.appear(bare=True)
    ann = await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre, alone_s=2.0)
    await theatre.met(bot)
    await ann.leave()
    await over(stage, theatre, bot, "left_alone", departure="left")
    check_told(theatre, INSIDE)


async def a_slow_page(stage: ReplicaStage, theatre: Theatre) -> None:
    """Each answer and each drawing takes two seconds."""
    stage.meeting.appear(slow_ms=2000)
    await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre)
    await stage.remove_bot()
    await over(stage, theatre, bot, "evicted")
    check_told(theatre, INSIDE)


async def a_second_language(stage: ReplicaStage, theatre: Theatre) -> None:
    """The page speaks German, whatever it was asked for."""
    stage.meeting.appear(language="de")
    await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre)
    await stage.end_meeting()
    await over(stage, theatre, bot, "meeting_ended")
    check_told(theatre, INSIDE)


async def a_lost_network_heals(stage: ReplicaStage, theatre: Theatre) -> None:
    """The page loses the call for some seconds: the bot stays, and hears again."""
    ann = await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre)
    stage.cut_network()
    await asyncio.sleep(4.0)
    assert bot.process.returncode is None
    stage.restore_network()
    await ann.hum(on=True)
    await eventually(lambda: any(stream.finals for stream in theatre.speech.streams), timeout_s=WAIT_S)
    await stage.end_meeting()
    await over(stage, theatre, bot, "meeting_ended")
    check_told(theatre, INSIDE)


async def a_network_that_is_gone_for_good(stage: ReplicaStage, theatre: Theatre) -> None:
    """The page does not get back into the call: another attempt may."""
    await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre, reconnect_s=3.0)
    stage.cut_network()
    await theatre.ended(bot, 1, "connection_lost")
    check_told(theatre, INSIDE)


async def the_page_crashes(stage: Stage, theatre: Theatre) -> None:
    """Its renderer dies."""
    await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre)
    _signal_pages(bot, signal.SIGKILL)
    await over(stage, theatre, bot, "page_crashed", exit_code=1, departure="closed")


async def the_page_freezes(stage: Stage, theatre: Theatre) -> None:
    """Its renderer stands still: that is found, and the browser is ended all the same."""
    await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre)
    _signal_pages(bot, signal.SIGSTOP)
    async with asyncio.timeout(_FROZEN_S + _END_S):
        await theatre.told("exited")
    await over(stage, theatre, bot, "page_frozen", exit_code=1, departure="closed")


def _signal_pages(bot: BotProcess, number: signal.Signals) -> None:
    renderers = bot.browser_processes("renderer")
    assert renderers
    for renderer in renderers:
        renderer.send_signal(number)


SCENES = (
    dialogs_before_the_meeting,
    dialogs_inside_the_meeting,
    other_class_names,
    a_slow_page,
    a_second_language,
    a_lost_network_heals,
    a_network_that_is_gone_for_good,
    the_page_crashes,
    the_page_freezes,
)
