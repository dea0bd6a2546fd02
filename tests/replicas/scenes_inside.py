"""What happens between people inside of a meeting."""

import asyncio

from tests.replicas.bot_visit import INSIDE, WAIT_S, admitted, check_told, over
from tests.replicas.stage import ReplicaStage, Stage
from tests.replicas.voices import right_share
from tests.support.bot_theatre import Theatre
from tests.support.eventually import eventually

from usher.protocol.commands import Leave, Say

_ANN_HZ, _BOB_HZ = 440, 700


async def removed(stage: Stage, theatre: Theatre) -> None:
    """The host puts it out."""
    await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre)
    await stage.remove_bot()
    await over(stage, theatre, bot, "evicted")
    check_told(theatre, INSIDE)


async def everybody_leaves(stage: Stage, theatre: Theatre) -> None:
    """It is left alone, and goes after its time."""
    ann = await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre, alone_s=2.0)
    await theatre.met(bot)
    await ann.leave()
    await over(stage, theatre, bot, "left_alone", departure="left")
    check_told(theatre, INSIDE)


async def only_another_bot_stays(stage: Stage, theatre: Theatre) -> None:
    """Bots are no company."""
    ann = await stage.person("Ann", host=True)
    await stage.person("Fireflies.ai Notetaker")
    bot = await admitted(stage, theatre, alone_s=2.0)
    await theatre.met(bot)
    await asyncio.sleep(4.0)
    assert bot.process.returncode is None
    await ann.leave()
    await over(stage, theatre, bot, "left_alone", departure="left")


async def leaves_on_command(stage: Stage, theatre: Theatre) -> None:
    """It is told to leave, does so through the page's own control, and acknowledges it."""
    await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre)
    await theatre.command(bot, Leave(seq=1))
    await over(stage, theatre, bot, "stopped", departure="left")
    assert [(seq, outcome["outcome"]) for seq, outcome in theatre.manager.outcomes] == [(1, "applied")]


async def two_speak_at_once(stage: Stage, theatre: Theatre) -> None:
    """One begins, the other joins in, the first one stops: what is heard is told by name."""
    ann = await stage.person("Ann", _ANN_HZ, host=True)
    bob = await stage.person("Bob", _BOB_HZ)
    await bob.hum(on=False)
    bot = await admitted(stage, theatre)
    await theatre.named("Ann")
    await bob.hum(on=True)
    await asyncio.sleep(3.0)
    await ann.hum(on=False)
    await theatre.named("Bob")
    await asyncio.sleep(2.0)
    await theatre.command(bot, Leave(seq=1))
    await over(stage, theatre, bot, "stopped", departure="left")
    assert set().union(*(await theatre.heard()).values()) <= {"Ann", "Bob", None}
    share = right_share(await theatre.entries(), theatre.speech.streams, {"Ann": _ANN_HZ, "Bob": _BOB_HZ})
    assert share >= 0.8, share


async def a_rename_keeps_the_voice(stage: ReplicaStage, theatre: Theatre) -> None:
    """Who goes under another name is heard on in the same session, under the new name."""
    ann = await stage.person("Ann", _ANN_HZ, host=True)
    bot = await admitted(stage, theatre)
    await theatre.named("Ann")
    await ann.rename("Ann Smith")
    await theatre.named("Ann Smith")
    await theatre.command(bot, Leave(seq=1))
    await over(stage, theatre, bot, "stopped", departure="left")
    voices = [names - {None} for names in (await theatre.heard()).values() if names != {None}]
    assert voices == [{"Ann", "Ann Smith"}]


async def the_chat_is_read(stage: ReplicaStage, theatre: Theatre) -> None:
    """What people write is told to the manager, each line once."""
    ann = await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre)
    stage.say(ann, "The numbers are in the folder.")
    stage.say(ann, "The numbers are in the folder.")
    await eventually(lambda: len(theatre.manager.chat) >= 2, timeout_s=WAIT_S)
    await asyncio.sleep(2.0)
    await theatre.command(bot, Leave(seq=1))
    await over(stage, theatre, bot, "stopped", departure="left")
    told = [(line["sender"], line["text"], line["is_self"]) for line in theatre.manager.chat]
    assert told == [("Ann", "The numbers are in the folder.", False)] * 2


async def the_chat_is_written(stage: ReplicaStage, theatre: Theatre) -> None:
    """It writes what it is told to."""
    await stage.person("Ann", host=True)
    bot = await admitted(stage, theatre)
    await theatre.command(bot, Say(seq=1, text="I take notes."))
    await eventually(lambda: bool(theatre.manager.outcomes), timeout_s=WAIT_S)
    assert theatre.manager.outcomes[0][1]["outcome"] == "applied", theatre.manager.outcomes
    assert stage.bot.said == ["I take notes."]
    await theatre.command(bot, Leave(seq=2))
    await over(stage, theatre, bot, "stopped", departure="left")


SCENES = (
    removed,
    everybody_leaves,
    only_another_bot_stays,
    leaves_on_command,
    two_speak_at_once,
    a_rename_keeps_the_voice,
    the_chat_is_read,
    the_chat_is_written,
)
