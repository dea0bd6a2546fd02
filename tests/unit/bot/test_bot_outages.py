"""The speech service is cut off, full, slow, deaf or changed: what is said is text once, where it was spoken."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from tests.support.bot_speech_server import SpeechServer, speech_server, tone
from tests.support.eventually import eventually

from usher.bot.audio.door import Door
from usher.bot.audio.listener import Listener
from usher.bot.audio.receiver import Frame
from usher.bot.audio.reels import Reels
from usher.bot.audio.speech import Speech, SpeechPatience
from usher.bot.audio.tape import Tape
from usher.domain.transcript import Segment, newest
from usher.protocol.segments import SegmentEntry

_PATIENCE_S = 60.0
_FRAME = 1600
_MOST_FRAME_BYTES = 1 << 20
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_QUICK = SpeechPatience(
    open_s=5.0, ready_s=5.0, send_s=5.0, finish_s=20.0, last_s=40.0, quiet_s=0.2, close_s=0.5, retry_s=(0.02, 0.05)
)


class _EvenTime:
    """Every sample takes its time."""

    def at(self, position: int) -> datetime:
        return _BEGAN + timedelta(seconds=position / 16_000)


class _Talk:
    """Somebody who talks, each tenth of a second with a value of its own, and what is understood."""

    def __init__(
        self,
        server: SpeechServer,
        patience: SpeechPatience = _QUICK,
        reels: Reels | None = None,
        door: Door | None = None,
    ) -> None:
        self.entries: list[SegmentEntry] = []
        self.languages: list[str] = []
        self.speech = Speech(server.url, SecretStr("token"), "en", "transcribe", patience)
        self.listener = Listener(
            7,
            self.speech,
            _EvenTime(),
            self.entries.append,
            lambda: "Alice",
            first_uid="first",
            tape=Tape(reels),
            door=door,
        )

    def say(self, frames: int) -> None:
        for _ in range(frames):
            position = len(self.languages) * _FRAME
            self.listener.tape.add(Frame(position, tone(100.0 + len(self.languages) % 800, 0.1)))
            self.languages.append(self.speech.language or "")
        self.listener.wake()

    async def ask_for(self, language: str) -> None:
        self.speech = replace(self.speech, language=language)
        await self.listener.configure(self.speech)

    def transcript(self) -> list[Segment]:
        """What is stored of it in the end."""
        return newest(
            Segment(
                segment_id=spoken.segment_id,
                revision=spoken.revision,
                session_uid=entry.session_uid,
                start_s=spoken.start_s,
                end_s=spoken.end_s,
                absolute_start=entry.session_start + timedelta(seconds=spoken.start_s),
                absolute_end=entry.session_start + timedelta(seconds=spoken.end_s),
                text=spoken.text,
                speaker=spoken.speaker,
                language=spoken.language,
                completed=spoken.completed,
            )
            for entry in self.entries
            for spoken in entry.segments
        )

    def finals(self) -> list[str]:
        return [segment.text for segment in self.transcript() if segment.completed]


def _stretch(segment: Segment) -> tuple[int, int]:
    """Frames that a text tells of; values come again after 800."""
    match = re.fullmatch(r"heard (\d+) to (\d+)", segment.text)
    assert match is not None
    begun = round((segment.absolute_start - _BEGAN) / timedelta(seconds=0.1))
    first, last = (int(number) - 100 for number in match.groups())
    assert begun % 800 == first, "the text is not where it was spoken"
    return begun, begun + (last - first) % 800 + 1


def _check(talk: _Talk) -> None:
    """All that was said is final text once, in order, where and by whom it was spoken."""
    transcript = talk.transcript()
    assert [segment for segment in transcript if not segment.completed] == []
    heard = [_stretch(segment) for segment in transcript]
    assert heard, "nothing was heard"
    assert heard[0][0] == 0
    assert [begin for begin, _ in heard[1:]] == [end for _, end in heard[:-1]]
    assert heard[-1][1] == len(talk.languages)
    assert {segment.speaker for segment in transcript} == {"Alice"}
    for segment, (begin, end) in zip(transcript, heard, strict=True):
        assert abs((segment.absolute_start - _BEGAN).total_seconds() - begin / 10) < 0.002
        assert abs((segment.absolute_end - _BEGAN).total_seconds() - end / 10) < 0.002


def _check_languages(talk: _Talk, server: SpeechServer) -> None:
    """What was said before a change was heard as it was meant then."""
    asked = {stream.uid: stream.options["language"] for stream in server.streams}
    for segment in talk.transcript():
        begin, end = _stretch(segment)
        language = asked[segment.session_uid] if server.stock else segment.language
        assert set(talk.languages[begin:end]) == {language}


async def _cut(talk: _Talk, server: SpeechServer, chance: random.Random) -> None:
    server.break_after = chance.randint(1, 40) * _FRAME
    talk.say(1)


async def _say_goodbye(talk: _Talk, server: SpeechServer, chance: random.Random) -> None:
    server.disconnect_after = chance.randint(1, 40) * _FRAME
    talk.say(1)


async def _be_full(talk: _Talk, server: SpeechServer, chance: random.Random) -> None:
    server.full = chance.randint(1, 3)
    server.break_after = 1
    talk.say(1)


async def _be_deaf(talk: _Talk, server: SpeechServer, chance: random.Random) -> None:
    server.deaf = True
    talk.say(chance.randint(1, 30))
    await asyncio.sleep(chance.uniform(0.0, 0.1))
    server.cut()
    server.deaf = False
    talk.say(1)


async def _be_slow(talk: _Talk, server: SpeechServer, chance: random.Random) -> None:
    server.slow_s = chance.choice([0.0, 0.001, 0.005])
    talk.say(5)


async def _reconfigure(talk: _Talk, _server: SpeechServer, chance: random.Random) -> None:
    await talk.ask_for(chance.choice(["de", "fr", "it", "en"]))


async def _go_on(talk: _Talk, _server: SpeechServer, chance: random.Random) -> None:
    talk.say(chance.randint(1, 40))
    await asyncio.sleep(chance.uniform(0.0, 0.05))


_MISHAPS: list[Callable[[_Talk, SpeechServer, random.Random], Awaitable[None]]] = [
    _cut,
    _say_goodbye,
    _be_full,
    _be_deaf,
    _be_slow,
    _reconfigure,
]


@pytest.mark.parametrize("stock", [False, True], ids=["ushers", "stock"])
@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_to_the_service_every_word_is_heard_once(seed: int, *, stock: bool) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    async with speech_server(stock=stock) as server:
        talk = _Talk(server)
        for _ in range(chance.randint(4, 10)):
            await _go_on(talk, server, chance)
            await chance.choice(_MISHAPS)(talk, server, chance)
        talk.say(7)
        server.full = server.slow_s = 0
        server.break_after = server.disconnect_after = None
        await talk.listener.finish()
        _check(talk)
        _check_languages(talk, server)
        assert talk.listener.unheard == 0


async def test_text_that_a_cut_left_open_is_replaced_by_what_the_next_session_hears() -> None:
    async with speech_server() as server:
        talk = _Talk(server)
        talk.say(17)
        await eventually(lambda: any(not s.completed for s in talk.transcript()), timeout_s=_PATIENCE_S)
        server.break_after = 1
        talk.say(3)
        await talk.listener.finish()
        assert [segment.text for segment in talk.transcript()] == ["heard 100 to 109", "heard 110 to 119"]
        _check(talk)
        assert len(server.streams) == 2


async def test_a_stock_server_that_ends_a_session_early_cuts_no_word_in_two() -> None:
    async with speech_server(stock=True) as server:
        talk = _Talk(server)
        server.disconnect_after = 16 * _FRAME
        talk.say(16)
        await eventually(lambda: len(server.streams) == 2, timeout_s=_PATIENCE_S)
        talk.say(4)
        await talk.listener.finish()
        assert talk.finals() == ["heard 100 to 109", "heard 110 to 119"]
        _check(talk)


async def test_text_that_nobody_hears_again_stays_as_it_is() -> None:
    async with speech_server() as server:
        talk = _Talk(server, replace(_QUICK, last_s=1.0))
        talk.say(17)
        await eventually(lambda: any(not s.completed for s in talk.transcript()), timeout_s=_PATIENCE_S)
        server.full = 1000
        server.break_after = 1
        talk.say(1)
        await talk.listener.finish()
    assert talk.finals() in (["heard 100 to 109", f"heard 110 to {last}"] for last in (116, 117))
    assert talk.listener.unheard == 8 * _FRAME


async def test_an_outage_of_minutes_is_caught_up_with_from_disk_faster_than_real_time() -> None:
    reels = Reels(600.0)
    async with speech_server() as early:
        url = early.url
    talk = _Talk(SpeechServer(url=url), reels=reels)
    tape = talk.listener.tape
    for _ in range(180):
        talk.say(10)
        await eventually(lambda: not tape._is_winding, timeout_s=_PATIENCE_S)  # noqa: SLF001 - the disk tells nobody else
    assert tape._samples <= 70 * 16_000  # noqa: SLF001 - what is in memory
    assert tape.kept == 180 * 16_000
    loop = asyncio.get_running_loop()
    async with speech_server() as server:
        talk.speech = replace(talk.speech, url=server.url)
        await talk.listener.configure(talk.speech)
        begun_s = loop.time()
        await talk.listener.finish()
        took_s = loop.time() - begun_s
        _check(talk)
        (stream,) = server.streams
    assert took_s < 45.0
    assert 10 * _FRAME * 4 < stream.longest_frame_bytes < _MOST_FRAME_BYTES
    assert talk.listener.unheard == 0
    reels.close()


async def test_a_server_that_is_behind_is_given_time_while_there_is_text() -> None:
    async with speech_server(slow_s=0.02) as server:
        talk = _Talk(server, replace(_QUICK, stall_s=1.5, send_s=0.5))
        talk.say(300)
        await talk.listener.finish()
        assert len(server.streams) == 1
        _check(talk)


async def test_a_server_that_gives_no_sign_of_life_is_left_and_nothing_is_lost() -> None:
    async with speech_server() as server:
        talk = _Talk(server, replace(_QUICK, stall_s=0.6))
        talk.say(15)
        await eventually(lambda: bool(talk.finals()), timeout_s=_PATIENCE_S)
        server.frozen = True
        talk.say(20)
        await asyncio.sleep(1.5)
        server.frozen = False
        await eventually(lambda: len(server.streams) >= 2, timeout_s=_PATIENCE_S)
        await talk.listener.finish()
        _check(talk)


async def test_after_audio_that_had_to_go_text_is_still_where_it_was_spoken() -> None:
    async with speech_server() as server:
        talk = _Talk(server)
        talk.say(20)
        await eventually(lambda: len(talk.finals()) == 2, timeout_s=_PATIENCE_S)
        # All at once: the session has no time to send what is about to go.
        talk.say(1200)
        await talk.listener.finish()
    heard = [_stretch(segment) for segment in talk.transcript()]
    assert talk.listener.unheard == talk.listener.tape.dropped > 0
    unheard = talk.listener.unheard // _FRAME
    assert sum(end - begin for begin, end in heard) == len(talk.languages) - unheard
    assert heard[-1][1] == len(talk.languages)


async def test_a_stock_server_is_not_given_more_than_it_holds() -> None:
    async with speech_server(stock=True, deaf=True) as server:
        talk = _Talk(server, replace(_QUICK, last_s=2.0))
        talk.say(550)
        await eventually(lambda: bool(server.streams), timeout_s=_PATIENCE_S)
        await asyncio.sleep(1.0)
        assert 20 * 16_000 <= len(server.streams[0].pcm) < 30 * 16_000
        await talk.listener.finish()


async def test_a_speaker_who_falls_silent_while_the_service_is_away_is_heard_all_the_same() -> None:
    async with speech_server() as early:
        url = early.url
    talk = _Talk(SpeechServer(url=url), replace(_QUICK, last_s=0.2))
    talk.say(15)
    draining = asyncio.create_task(talk.listener.drain())
    await asyncio.sleep(1.0)
    assert not draining.done()
    async with speech_server() as server:
        talk.speech = replace(talk.speech, url=server.url)
        await talk.listener.configure(talk.speech)
        await draining
        _check(talk)


async def test_speakers_of_a_full_service_wait_together_and_one_at_a_time() -> None:
    door = Door((0.02, 0.05))
    async with speech_server(full=1) as server:
        first = _Talk(server, door=door)
        first.say(10)
        await eventually(lambda: server.full == 0, timeout_s=_PATIENCE_S)
        server.full = 3
        others = [_Talk(server, door=door) for _ in range(5)]
        for talk in others:
            talk.say(10)
        talks = [first, *others]
        await eventually(lambda: all(talk.finals() for talk in talks), timeout_s=_PATIENCE_S)
        assert server.full == 0
        await asyncio.gather(*(talk.listener.finish() for talk in talks))
        for talk in talks:
            _check(talk)


async def test_after_a_refusal_one_knocks_at_a_time_and_not_before_the_time_that_was_named() -> None:
    door, loop = Door((0.05,)), asyncio.get_running_loop()
    together = [await door.turn() for _ in range(3)]
    refused_s = loop.time()
    together[0].refused(0.3)
    together[1].refused(None)
    together[2].refused(None)
    assert door.failures == 1
    waiting = [asyncio.create_task(door.turn()) for _ in range(3)]
    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == 1
    assert loop.time() - refused_s >= 0.3
    await asyncio.sleep(0.1)
    assert sum(task.done() for task in waiting) == 1
    assert door.waiting == 2
    waiting[0].result().opened()
    (await waiting[1]).opened()
    (await waiting[2]).opened()
    assert door.failures == 0
    at_once = await asyncio.wait_for(asyncio.gather(door.turn(), door.turn()), 1.0)
    assert len(at_once) == 2


async def test_whoever_gives_up_waiting_holds_up_nobody() -> None:
    door = Door((0.01,))
    (await door.turn()).refused(0.2)
    gone = asyncio.create_task(door.turn())
    next_one = asyncio.create_task(door.turn())
    await asyncio.sleep(0.05)
    gone.cancel()
    (await asyncio.wait_for(next_one, _PATIENCE_S)).withdraw()
    await asyncio.wait_for(door.turn(), _PATIENCE_S)
