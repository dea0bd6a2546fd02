"""V11 to V81 where the failure was about what callers are told."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient, WebSocketTestSession
from tests.support.world import World

from usher.adapters.memory.failing_launchers import SlowLauncher
from usher.adapters.memory.launcher import MemoryLauncher
from usher.api.app import create_app
from usher.api.context import Context
from usher.api.keys import KeyCache, digest
from usher.domain.errors import Unavailable
from usher.domain.lifecycle import Reason, State
from usher.domain.meeting import Homes
from usher.domain.scopes import Scope
from usher.ports import HeldKey
from usher.settings import Settings

ROOM_URL = "http://usher.test/room"
MINE = {"X-API-Key": "key"}


class _Away(KeyCache):
    """Keys whose database is away."""

    async def held(self, key: str | None, scope: Scope | None = None) -> HeldKey:
        raise Unavailable(f"the database is away, whatever {bool(key)} key it is, for {scope}")


def context(world: World, keys: KeyCache | None = None) -> Context:
    return Context(
        store=world.store,
        bots=world.bots,
        reports=world.reports,
        recordings=world.recordings,
        webhooks=world.desk,
        feed=world.feed,
        stream=world.stream,
        keys=keys or KeyCache(world.store, ttl_s=5),
        homes=Homes(ROOM_URL),
    )


def http_of(world: World, keys: KeyCache | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(context(world, keys)), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://usher.test")


@pytest.fixture
async def world() -> World:
    world = World()
    await world.store.add_token((await world.user(limit=50)).user_id, digest("key"))
    return world


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with http_of(world) as client:
        yield client


async def say(http: httpx.AsyncClient, world: World, meeting_id: int, kind: str, **body: Any) -> httpx.Response:  # noqa: ANN401 - any JSON
    bot = await world.bot_of(meeting_id)
    headers = {"Authorization": f"Bearer {world.credentials.token(bot)}"}
    return await http.post(f"/internal/bots/{bot.connection_id}/{kind}", json={"seq": 9, **body}, headers=headers)


async def test_v11_an_end_for_a_reason_that_this_version_does_not_know_is_an_end(
    world: World, http: httpx.AsyncClient
) -> None:
    meeting = await world.active()
    answer = await say(http, world, meeting.meeting_id, "exited", exit_code=0, reason="removed_by_admin")
    assert answer.status_code == 200, "else the bot's last word is lost, and its end is taken for a crash"
    ended = await world.meeting(meeting.meeting_id)
    assert (ended.status, ended.reason) == (State.COMPLETED, Reason.MEETING_ENDED)


async def test_v12_an_ignored_report_is_answered_like_a_success(world: World, http: httpx.AsyncClient) -> None:
    meeting = await world.active()
    answer = await say(http, world, meeting.meeting_id, "status", status="joining")
    assert (answer.status_code, answer.json()["outcome"]) == (200, "ignored")


async def test_v16_whoever_knows_only_the_connection_can_report_nothing(world: World, http: httpx.AsyncClient) -> None:
    meeting = await world.active()
    for headers in ({}, MINE, {"Authorization": f"Bearer {meeting.connection_id}"}):
        for kind in ("started", "status", "exited", "heartbeat"):
            path = f"/internal/bots/{meeting.connection_id}/{kind}"
            body = {"seq": 1, "exit_code": 0, "status": "joining"}
            assert (await http.post(path, json=body, headers=headers)).status_code == 401
    assert (await world.meeting(meeting.meeting_id)).status is State.ACTIVE


async def test_v50_a_database_that_is_away_is_no_wrong_key(world: World) -> None:
    async with http_of(world, _Away(world.store, ttl_s=5)) as http:
        answer = await http.get("/bots/status", headers=MINE)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


async def test_v51_a_launcher_that_takes_for_ever_holds_up_no_request() -> None:
    launcher = SlowLauncher(MemoryLauncher(), delay_s=3600.0)
    world = World(launcher=launcher)
    await world.store.add_token((await world.user(limit=50)).user_id, digest("key"))
    async with http_of(world) as http:
        body = {"meeting_url": f"{ROOM_URL}/room-0"}
        assert (await http.post("/bots", json=body, headers=MINE)).status_code == 201
        launching = asyncio.create_task(world.settle())
        for n in range(1, 20):
            body = {"meeting_url": f"{ROOM_URL}/room-{n}"}
            assert (await http.post("/bots", json=body, headers=MINE)).status_code == 201
        assert len((await http.get("/bots/status", headers=MINE)).json()["running_bots"]) == 20
        launching.cancel()


@pytest.mark.parametrize(("word", "meant"), [("false", False), ("0", False), ("true", True)])
def test_v53_a_word_for_no_means_no(word: str, meant: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USHER_BOTS__HEADLESS", word)
    assert Settings().bots.headless is meant


@pytest.mark.parametrize("nonsense", ["[]", "1", "null", '"x"', "{", "{}", '{"action": "dance"}', "\U0001f600"])
async def test_v78_nonsense_does_not_end_a_live_socket(world: World, nonsense: str) -> None:
    with _live(world) as socket:
        socket.send_text(nonsense)
        assert socket.receive_json()["type"] == "error"
        socket.send_json({"action": "ping"})
        assert socket.receive_json() == {"type": "pong"}


async def test_v79_nobody_hears_somebody_elses_meeting_live(world: World) -> None:
    meeting = await world.active()
    eve = await world.store.create_user("eve@example.com", name=None, max_concurrent_bots=1)
    await world.store.add_token(eve.user_id, digest("eve"))
    name = {"platform": "room", "native_id": meeting.ref.native_id}
    with _live(world, "eve") as socket:
        socket.send_json({"action": "subscribe", "meetings": [name]})
        assert socket.receive_json()["error"] == "unknown_meeting"
        assert socket.receive_json() == {"type": "subscribed", "meetings": []}


async def test_v79_two_users_in_one_call_have_two_transcripts(world: World, http: httpx.AsyncClient) -> None:
    meeting = await world.active()
    eve = await world.store.create_user("eve@example.com", name=None, max_concurrent_bots=1)
    await world.store.add_token(eve.user_id, digest("eve"))
    path = f"/transcripts/room/{meeting.ref.native_id}"
    assert (await http.get(path, headers=MINE)).status_code == 200
    assert (await http.get(path, headers={"X-API-Key": "eve"})).status_code == 404
    for found in (f"/meetings/{meeting.meeting_id}", f"/meetings/{meeting.meeting_id}/events"):
        assert (await http.get(found, headers={"X-API-Key": "eve"})).status_code == 404


async def test_v79_the_account_of_a_bot_ends_with_its_attempt(world: World, http: httpx.AsyncClient) -> None:
    meeting = await world.active()
    assert set(world.access.passwords) == {meeting.connection_id}
    await say(http, world, meeting.meeting_id, "exited", exit_code=1, reason="crashed")
    await world.settle()
    assert meeting.connection_id not in world.access.passwords
    world.clock.advance(world.policy.retry.first_s)
    await world.settle()
    second = await world.meeting(meeting.meeting_id)
    assert set(world.access.passwords) == {second.connection_id}
    await http.delete(f"/bots/room/{meeting.ref.native_id}", headers=MINE)
    world.clock.advance(world.policy.leave_grace_s)
    await world.settle()
    assert not world.access.passwords


async def test_v81_an_id_of_any_length_is_answered(world: World, http: httpx.AsyncClient) -> None:
    for length in (255, 256, 5000):
        body = {"platform": "room", "native_meeting_id": "a" * length}
        assert (await http.post("/bots", json=body, headers=MINE)).status_code == 422
        assert (await http.delete(f"/bots/room/{'a' * length}", headers=MINE)).status_code == 404
    assert not await world.bots.list_running((await world.user()).user_id)


def _live(world: World, key: str = "key") -> WebSocketTestSession:
    return TestClient(create_app(context(world))).websocket_connect("/ws", headers={"X-API-Key": key})
