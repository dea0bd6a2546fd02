"""The course of a visit, in a page whose sights are written down beforehand."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from playwright.async_api import Error as PlaywrightError

from usher.bot.platforms import Person, Presence, Sighting
from usher.bot.platforms.port import JoinFailed, SignWatch, Wall
from usher.bot.stay import Ending
from usher.bot.visit import Pace, Visit, Watch
from usher.domain.lifecycle import Reason
from usher.protocol.bot import Patience

_URL = "https://meet.example/abc?pwd=secret"
_BOT = Person("Usher", is_self=True)
_ALICE = Person("Alice", is_self=False, person_id="a")
_OTHER_BOT = Person("Fireflies.ai Notetaker", is_self=False, is_bot=True)
_PATIENT = Patience(join_s=60, admission_s=60, alone_s=60, no_one_joined_s=60)

_Sight = Sighting | Exception


def _sees(presence: Presence, *people: Person, voices: Mapping[str, str] | None = None) -> Sighting:
    return Sighting(presence, people, voices or {})


def _walled(reason: Reason) -> Sighting:
    return Sighting(Presence.CONNECTING, wall=Wall(reason, "Verify you're a real person"))


_CONNECTING = _sees(Presence.CONNECTING)
_LOBBY = _sees(Presence.LOBBY)
_ALONE = _sees(Presence.INSIDE, _BOT)
_MET = _sees(Presence.INSIDE, _BOT, _ALICE, voices={"track": "a"})
_ENDED = _sees(Presence.ENDED)
_DROPPED = _sees(Presence.RECONNECTING)
_CAPTCHA = _walled(Reason.CAPTCHA)
_BLIND = PlaywrightError("Execution context was destroyed")


class _Page:
    """A page that shows one sight after the other, and then the last one for ever."""

    def __init__(self, *sights: _Sight, refuses: Exception | None = None, hangs: bool = False) -> None:
        self._sights: Sequence[_Sight] = sights
        self._refuses = refuses
        self._hangs = hangs
        self.looks = 0
        self.resumed = 0
        self.step = "ask_to_join"

    async def join(self, url: str, name: str) -> None:
        assert (url, name) == (_URL, "Usher")
        if self._hangs:
            await asyncio.Event().wait()
        if self._refuses is not None:
            raise self._refuses

    def watch_signs(self, watch: SignWatch) -> None:
        raise AssertionError(watch)

    async def resume(self) -> None:
        self.resumed += 1

    async def say(self, text: str) -> None:
        raise AssertionError(text)

    async def rename(self, name: str) -> None:
        raise AssertionError(name)

    async def look(self) -> Sighting:
        sight = self._sights[min(self.looks, len(self._sights) - 1)]
        self.looks += 1
        if isinstance(sight, Exception):
            raise sight
        return sight

    async def leave(self) -> None:
        return


class _Told:
    """Whoever watches."""

    def __init__(self) -> None:
        self.news: list[str] = []
        self.seen: list[Sighting] = []
        self.walls: list[Wall] = []

    def watch(self) -> Watch:
        return Watch(
            joining=lambda: self.news.append("joining"),
            waiting=lambda: self.news.append("waiting"),
            admitted=lambda: self.news.append("admitted"),
            seen=self.seen.append,
            help_wanted=self.walls.append,
        )


async def _visit(page: _Page, patience: Patience = _PATIENT) -> tuple[Ending, _Told]:
    told = _Told()
    visit = Visit(page, patience, told.watch(), Pace(on_the_way_s=0.001, inside_s=0.001))
    async with asyncio.timeout(30.0):
        return await visit.run(_URL, "Usher"), told


async def test_through_the_lobby_into_the_meeting_to_its_end() -> None:
    ending, told = await _visit(_Page(_CONNECTING, _LOBBY, _LOBBY, _MET, _MET, _ENDED))
    assert (ending.exit_code, ending.reason) == (0, Reason.MEETING_ENDED)
    assert told.news == ["joining", "waiting", "admitted"]
    assert [seen.voices for seen in told.seen] == [{"track": "a"}]


async def test_a_meeting_without_a_lobby() -> None:
    _, told = await _visit(_Page(_CONNECTING, _MET, _ENDED))
    assert told.news == ["joining", "admitted"]


async def test_the_way_from_the_lobby_may_lead_over_connecting() -> None:
    _, told = await _visit(_Page(_LOBBY, _CONNECTING, _MET, _ENDED))
    assert told.news == ["joining", "waiting", "admitted"]


@pytest.mark.parametrize(
    ("sights", "exit_code", "reason"),
    [
        ([_LOBBY, _sees(Presence.REJECTED)], 0, Reason.REJECTED),
        ([_LOBBY, _sees(Presence.REMOVED)], 0, Reason.REJECTED),
        ([_LOBBY, _ENDED], 0, Reason.MEETING_ENDED),
        ([_sees(Presence.BROKEN)], 1, Reason.JOIN_FAILED),
        ([_MET, _sees(Presence.REMOVED)], 0, Reason.EVICTED),
        ([_MET, _sees(Presence.BROKEN)], 1, Reason.CONNECTION_LOST),
        ([_MET, _MET, _BLIND], 1, Reason.PAGE_CRASHED),
        ([_MET, _MET, TimeoutError()], 1, Reason.PAGE_CRASHED),
        ([_BLIND], 1, Reason.JOIN_FAILED),
    ],
)
async def test_every_other_way_to_end(sights: list[_Sight], exit_code: int, reason: Reason) -> None:
    ending, _ = await _visit(_Page(*sights))
    assert (ending.exit_code, ending.reason) == (exit_code, reason)


async def test_a_page_may_be_blind_for_a_moment() -> None:
    ending, told = await _visit(_Page(_BLIND, _LOBBY, _BLIND, TimeoutError(), _MET, _BLIND, _BLIND, _MET, _ENDED))
    assert ending.reason is Reason.MEETING_ENDED
    assert told.news == ["joining", "waiting", "admitted"]


class _EarlyPage(_Page):
    """A meeting whose host comes after some tries."""

    def __init__(self, *sights: _Sight, early: int) -> None:
        super().__init__(*sights)
        self.tries = 0
        self._early = early

    async def join(self, url: str, name: str) -> None:
        await super().join(url, name)
        self.tries += 1
        if self.tries <= self._early:
            raise JoinFailed("pass_gate", "the page says no", Wall(Reason.NOT_STARTED, "This meeting link is invalid"))


async def test_where_the_host_has_not_begun_it_tries_again_until_the_host_has() -> None:
    page = _EarlyPage(_LOBBY, _MET, _ENDED, early=3)
    ending, told = await _visit(page, _PATIENT.model_copy(update={"host_every_s": 0.01}))
    assert ending.reason is Reason.MEETING_ENDED
    assert page.tries == 4
    assert told.news == ["joining", "waiting", "admitted"]


@pytest.mark.parametrize("limit", ["host_s", "admission_s"])
async def test_the_host_never_comes(limit: str) -> None:
    page = _EarlyPage(_LOBBY, early=1000)
    ending, told = await _visit(page, _PATIENT.model_copy(update={limit: 0.05, "host_every_s": 0.02}))
    assert (ending.exit_code, ending.reason) == (0, Reason.NOT_STARTED)
    assert 2 <= page.tries <= 5
    assert told.news == ["joining", "waiting"]


async def test_nobody_lets_it_in() -> None:
    ending, told = await _visit(_Page(_LOBBY), _PATIENT.model_copy(update={"admission_s": 0.05}))
    assert (ending.exit_code, ending.reason) == (0, Reason.ADMISSION_TIMEOUT)
    assert told.news == ["joining", "waiting"]


@pytest.mark.parametrize("page", [_Page(_CONNECTING), _Page(_CONNECTING, hangs=True)])
async def test_the_way_in_takes_too_long(page: _Page) -> None:
    ending, _ = await _visit(page, _PATIENT.model_copy(update={"join_s": 0.05}))
    assert (ending.exit_code, ending.reason) == (1, Reason.JOIN_FAILED)


async def test_the_way_in_is_not_as_expected_and_the_evidence_has_no_addresses() -> None:
    refuses = JoinFailed("open the page", f"net::ERR_NAME_NOT_RESOLVED at {_URL}\nCall log: …")
    ending, _ = await _visit(_Page(_CONNECTING, refuses=refuses))
    assert (ending.exit_code, ending.reason) == (1, Reason.JOIN_FAILED)
    assert "open the page" in ending.detail
    assert "secret" not in ending.detail


async def test_alone_after_others_were_there() -> None:
    ending, _ = await _visit(_Page(_ALONE, _MET, _ALONE), _PATIENT.model_copy(update={"alone_s": 0.05}))
    assert (ending.exit_code, ending.reason) == (0, Reason.LEFT_ALONE)


async def test_alone_from_the_start() -> None:
    ending, _ = await _visit(_Page(_ALONE), _PATIENT.model_copy(update={"no_one_joined_s": 0.05}))
    assert (ending.exit_code, ending.reason) == (0, Reason.NO_ONE_JOINED)


async def test_who_comes_back_in_time_keeps_it_there() -> None:
    impatient = _PATIENT.model_copy(update={"alone_s": 5.0})
    ending, told = await _visit(_Page(_MET, _ALONE, _ALONE, _MET, _ALONE, _ENDED), impatient)
    assert ending.reason is Reason.MEETING_ENDED
    assert len(told.seen) == 4


async def test_a_page_that_shows_no_people_at_all_does_not_make_it_alone() -> None:
    sights = [_MET, *[_sees(Presence.INSIDE)] * 60, _ENDED]
    ending, _ = await _visit(_Page(*sights), _PATIENT.model_copy(update={"alone_s": 0.02}))
    assert ending.reason is Reason.MEETING_ENDED


async def test_another_bot_is_nobody_to_stay_for() -> None:
    left = _sees(Presence.INSIDE, _BOT, _OTHER_BOT)
    ending, _ = await _visit(_Page(_MET, _MET, left), _PATIENT.model_copy(update={"alone_s": 0.05}))
    assert ending.reason is Reason.LEFT_ALONE


async def test_a_dropped_connection_that_comes_back_is_no_end() -> None:
    ending, told = await _visit(_Page(_MET, *[_DROPPED] * 5, _MET, _ENDED))
    assert ending.reason is Reason.MEETING_ENDED
    assert told.news == ["joining", "admitted"]


@pytest.mark.parametrize("sight", [_DROPPED, _CONNECTING])
async def test_a_dropped_connection_that_does_not_come_back_ends_the_visit(sight: Sighting) -> None:
    ending, _ = await _visit(_Page(_MET, sight), _PATIENT.model_copy(update={"reconnect_s": 0.05}))
    assert (ending.exit_code, ending.reason) == (1, Reason.CONNECTION_LOST)


async def test_who_is_put_back_into_the_lobby_waits_as_long_as_before() -> None:
    patience = _PATIENT.model_copy(update={"reconnect_s": 0.001, "admission_s": 0.1})
    ending, _ = await _visit(_Page(_MET, *[_LOBBY] * 5, _MET, _ENDED), patience)
    assert ending.reason is Reason.MEETING_ENDED
    ending, _ = await _visit(_Page(_MET, _LOBBY), patience)
    assert (ending.exit_code, ending.reason) == (0, Reason.EVICTED)


@pytest.mark.parametrize("reason", [Reason.CAPTCHA, Reason.BLOCKED, Reason.SIGN_IN_REQUIRED, Reason.MEETING_NOT_FOUND])
async def test_a_wall_ends_the_visit_at_once_and_names_the_step(reason: Reason) -> None:
    page = _Page(_CONNECTING, _walled(reason))
    ending, told = await _visit(page)
    assert (ending.exit_code, ending.reason, ending.step) == (0, reason, "ask_to_join")
    assert "Verify you're a real person" in ending.detail
    assert (told.walls, page.looks) == ([], 2)


async def test_a_person_who_helps_in_time_opens_the_way() -> None:
    page = _Page(_CAPTCHA, _CAPTCHA, _CONNECTING, _LOBBY, _MET, _ENDED)
    ending, told = await _visit(page, _PATIENT.model_copy(update={"help_s": 20.0}))
    assert ending.reason is Reason.MEETING_ENDED
    assert [wall.reason for wall in told.walls] == [Reason.CAPTCHA]
    assert page.resumed == 1


async def test_nobody_helps() -> None:
    ending, told = await _visit(_Page(_CAPTCHA), _PATIENT.model_copy(update={"help_s": 0.05}))
    assert (ending.exit_code, ending.reason) == (0, Reason.CAPTCHA)
    assert len(told.walls) == 1


async def test_for_a_meeting_that_does_not_exist_nobody_is_asked_for_help() -> None:
    ending, told = await _visit(_Page(_walled(Reason.MEETING_NOT_FOUND)), _PATIENT.model_copy(update={"help_s": 20.0}))
    assert (ending.reason, told.walls) == (Reason.MEETING_NOT_FOUND, [])
