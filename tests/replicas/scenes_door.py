"""How a bot gets in, or does not."""

from tests.replicas.bot_visit import INSIDE, ON_THE_WAY, admitted, at_once, check_manners, check_told, over, send
from tests.replicas.news import WallKind
from tests.replicas.stage import ReplicaStage, Stage
from tests.support.bot_theatre import Theatre

from usher.protocol.commands import Leave


async def admitted_at_once(stage: ReplicaStage, theatre: Theatre) -> None:
    """Nobody has to admit it; it leaves when it is told to, through the page's own control."""
    await stage.person("Ann", host=True)
    stage.open_door()
    bot = await send(stage, theatre)
    await theatre.told("started")
    check_manners(stage)
    await theatre.command(bot, Leave(seq=1))
    await over(stage, theatre, bot, "stopped", departure="left")
    check_told(theatre, ["joining", "started"])


async def lobby_then_admitted(stage: Stage, theatre: Theatre) -> None:
    """It asks, waits, and is let in; the host ends the meeting."""
    await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre)
    await stage.end_meeting()
    await over(stage, theatre, bot, "meeting_ended")
    check_told(theatre, INSIDE)


async def denied(stage: Stage, theatre: Theatre) -> None:
    """The host says no."""
    await stage.person("Ann", host=True)
    bot = await send(stage, theatre)
    await stage.knock()
    await theatre.told("awaiting_admission")
    await stage.deny()
    await over(stage, theatre, bot, "rejected")
    check_told(theatre, ON_THE_WAY)


async def never_admitted(stage: Stage, theatre: Theatre) -> None:
    """Nobody answers; its patience ends, and it takes its request back."""
    await stage.person("Ann", host=True)
    bot = await send(stage, theatre, admission_s=2.0)
    await stage.knock()
    await over(stage, theatre, bot, "admission_timeout", departure="cancelled")
    check_told(theatre, ON_THE_WAY)


async def _meets_wall(stage: ReplicaStage, theatre: Theatre, kind: WallKind, reason: str) -> None:
    await stage.person("Ann", host=True)
    stage.wall(kind)
    bot = await send(stage, theatre)
    await theatre.told("joining")
    await at_once(over(stage, theatre, bot, reason, departure="closed"))
    check_told(theatre, ["joining"])
    assert not stage.bot.name, "it asked to join past the wall"


async def a_captcha(stage: ReplicaStage, theatre: Theatre) -> None:
    """A person is wanted: the bot says so and does nothing."""
    await _meets_wall(stage, theatre, "captcha", "captcha")


async def a_block(stage: ReplicaStage, theatre: Theatre) -> None:
    """The platform does not want this guest."""
    await _meets_wall(stage, theatre, "blocked", "blocked")


async def a_sign_in_wall(stage: ReplicaStage, theatre: Theatre) -> None:
    """The meeting is for people who are signed in."""
    await _meets_wall(stage, theatre, "sign_in", "sign_in_required")


async def a_person_deals_with_the_captcha(stage: ReplicaStage, theatre: Theatre) -> None:
    """It waits for a person, says that it does, and goes on from there."""
    await stage.person("Ann", host=True)
    stage.wall("captcha")
    bot = await send(stage, theatre, help_s=60.0)
    await theatre.told("help_wanted")
    stage.meeting.solve()
    await theatre.told("awaiting_admission")
    await stage.admit()
    await theatre.told("started")
    await stage.end_meeting()
    await over(stage, theatre, bot, "meeting_ended")
    check_told(theatre, ["joining", "help_wanted", *INSIDE[1:]])


async def a_meeting_that_is_not_found(stage: ReplicaStage, theatre: Theatre) -> None:
    """There is no such meeting."""
    stage.meeting.turn("not_found")
    bot = await send(stage, theatre)
    await theatre.told("joining")
    await at_once(over(stage, theatre, bot, "meeting_not_found", departure="closed"))
    check_told(theatre, ["joining"])


SCENES = (
    admitted_at_once,
    lobby_then_admitted,
    denied,
    never_admitted,
    a_captcha,
    a_block,
    a_sign_in_wall,
    a_person_deals_with_the_captcha,
    a_meeting_that_is_not_found,
)
