"""The Admin API: users, their use and their end, everybody's bots, and the log of deeds."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from tests.unit.api.test_meetings import over
from tests.unit.api.test_rest import ADMIN_TOKEN, Api, open_api, problem

from usher.api.keys import digest
from usher.app.users import Farewell
from usher.domain.errors import Unavailable
from usher.ports import Actor

ADMIN = {"X-Admin-API-Key": ADMIN_TOKEN}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made


async def ask(api: Api, method: str, path: str, body: object = None, status: int = 200) -> httpx.Response:
    answer = await api.http.request(method, f"/admin{path}", json=body, headers=ADMIN)
    if status >= 400:
        problem(answer, status)
    assert answer.status_code == status, answer.text
    return answer


async def actions(api: Api) -> list[tuple[str, str]]:
    entries = (await ask(api, "GET", "/audit")).json()["entries"]
    return [(entry["action"], entry["subject"]) for entry in reversed(entries)]


async def test_a_user_is_found_and_changed(api: Api) -> None:
    found = (await ask(api, "GET", "/users/email/Ann@Example.com")).json()
    assert found == (await ask(api, "GET", f"/users/{found['id']}")).json()
    changed = (await ask(api, "PATCH", "/users/1", {"name": "Anna", "data": {"team": "x"}})).json()
    assert changed == found | {"name": "Anna", "data": {"team": "x"}}
    assert (await ask(api, "PATCH", "/users/1", {"max_concurrent_bots": 0})).json()["max_concurrent_bots"] == 0
    assert problem(await api.send(), 429)["code"] == "max_concurrent_bots"
    assert await actions(api) == [("user_updated", "user:1")] * 2


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/users/email/nobody@example.com", None, 404),
        ("GET", "/users/999", None, 404),
        ("GET", "/users/999/usage", None, 404),
        ("GET", "/users/1/usage?from=2026-01-01T00:00:00", None, 422),
        ("PATCH", "/users/999", {"name": "x"}, 404),
        ("PATCH", "/users/1", {}, 422),
        ("PATCH", "/users/1", {"email": "new@example.com"}, 422),
        ("DELETE", "/users/999", None, 404),
        ("DELETE", "/meetings/999/bot", None, 404),
        ("GET", "/meetings?status=gone", None, 422),
        ("GET", f"/users/{2**63}", None, 422),
    ],
)
async def test_what_is_not_there_or_wrong(api: Api, method: str, path: str, body: object, status: int) -> None:
    await ask(api, method, path, body, status)
    assert await actions(api) == []


async def test_every_route_is_closed_to_others(api: Api) -> None:
    for method, path in (
        ("POST", "/users"),
        ("GET", "/users/email/ann@example.com"),
        ("PATCH", "/users/1"),
        ("DELETE", "/users/1"),
        ("GET", "/users/1/usage"),
        ("GET", "/users/1/tokens"),
        ("GET", "/meetings"),
        ("DELETE", "/meetings/1/bot"),
        ("GET", "/audit"),
    ):
        for headers in ({}, api.mine, {"X-Admin-API-Key": "wrong"}):
            problem(await api.http.request(method, f"/admin{path}", headers=headers), 401)


async def test_usage(api: Api) -> None:
    meeting = await over(api, "one", "hello", "there")
    used = (await ask(api, "GET", "/users/1/usage")).json()
    assert used == {"user_id": 1, "meetings": 1, "bot_hours": used["bot_hours"], "transcript_seconds": 2.0}
    assert meeting.end_time is not None
    assert meeting.start_time is not None
    assert used["bot_hours"] == pytest.approx((meeting.end_time - meeting.start_time).total_seconds() / 3600, abs=1e-4)
    later = (await ask(api, "GET", "/users/1/usage?from=2030-01-01T00:00:00Z&to=2031-01-01T00:00:00Z")).json()
    assert (later["meetings"], later["bot_hours"], later["transcript_seconds"]) == (0, 0, 0)


async def test_the_fleet_is_everybodys_and_any_bot_can_be_stopped(api: Api) -> None:
    bob = (await ask(api, "POST", "/users", {"email": "bob@example.com"}, 201)).json()
    await api.world.store.add_token(bob["id"], digest("bobs"))
    await api.send("mine")
    theirs = await api.http.post(
        "/bots", json={"platform": "room", "native_meeting_id": "theirs"}, headers={"X-API-Key": "bobs"}
    )
    rooms = [m["native_meeting_id"] for m in (await ask(api, "GET", "/meetings")).json()["meetings"]]
    assert rooms == ["theirs", "mine"]
    first = (await ask(api, "GET", "/meetings?limit=1")).json()
    second = (await ask(api, "GET", f"/meetings?limit=1&before_id={first['next_before_id']}")).json()
    assert [m["native_meeting_id"] for page in (first, second) for m in page["meetings"]] == rooms
    assert second["next_before_id"] is None
    stopped = await ask(api, "DELETE", f"/meetings/{theirs.json()['id']}/bot", status=202)
    assert stopped.json()["meeting"]["status"] == "completed"
    live = (await ask(api, "GET", "/meetings?status=requested&platform=room")).json()["meetings"]
    assert [m["native_meeting_id"] for m in live] == ["mine"]
    assert (await ask(api, "GET", f"/meetings?user_id={bob['id']}&status=requested")).json()["meetings"] == []
    assert await actions(api) == [
        ("user_created", f"user:{bob['id']}"),
        ("bot_stopped", f"meeting:{theirs.json()['id']}"),
    ]


async def test_a_user_is_deleted_with_all_that_is_theirs(api: Api) -> None:
    meeting = await over(api, "one", "hello")
    await ask(api, "DELETE", "/users/1", status=204)
    store = api.world.store
    assert await store.find(meeting.meeting_id) is None
    assert not await store.segments(meeting.meeting_id)
    assert problem(await api.http.get("/meetings", headers=api.mine), 401)["code"] == "invalid_api_key"
    await ask(api, "GET", "/users/1", status=404)
    assert await actions(api) == [
        ("user_closed", "user:1"),
        ("transcript_deleted", f"meeting:{meeting.meeting_id}"),
        ("user_deleted", "user:1"),
    ]


async def test_a_user_with_bots_is_deleted_by_force_alone(api: Api) -> None:
    meeting = await api.world.active("one")
    refused = await ask(api, "DELETE", "/users/1", status=409)
    assert refused.json()["code"] == "bots_live"
    assert (await api.http.get("/meetings", headers=api.mine)).status_code == 200
    forced = asyncio.create_task(ask(api, "DELETE", "/users/1?force=true", status=204))
    while not forced.done():
        await api.world.settle()
        api.world.clock.advance(60.0)
        await asyncio.sleep(0.01)
    await forced
    assert await api.world.store.find(meeting.meeting_id) is None


async def test_a_deletion_that_takes_too_long_goes_on_when_asked_again(api: Api) -> None:
    await api.world.active("one")
    world = api.world
    farewell = Farewell(world.store, world.bots, world.recordings, world.stream, world.feed, patience_s=0.0)
    with pytest.raises(Unavailable):
        await farewell.delete(1, force=True, by=Actor("admin"))
    for _ in range(5):
        await world.settle()
        world.clock.advance(60.0)
    await farewell.delete(1, force=False, by=Actor("admin"))
    assert await world.store.find_user(1) is None
