"""The REST API over in-memory adapters: what is accepted, what is refused, and in which words."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from tests.support.world import World

from usher.api.app import create_app, create_bots_app
from usher.api.context import Context
from usher.api.keys import KeyCache, digest
from usher.domain.meeting import Homes

ROOM_URL = "http://usher.test/room"
ADMIN_TOKEN = "admin"


@dataclass
class Api:
    """The API and the world behind it."""

    world: World
    http: httpx.AsyncClient
    key: str
    context: Context

    async def send(self, room: str = "weekly-sync", **more: str) -> httpx.Response:
        return await self.http.post("/bots", json={"meeting_url": f"{ROOM_URL}/{room}"} | more, headers=self.mine)

    @property
    def mine(self) -> dict[str, str]:
        return {"X-API-Key": self.key}


@asynccontextmanager
async def open_api() -> AsyncIterator[Api]:
    world = World()
    user = await world.user(limit=2)
    await world.store.add_token(user.user_id, digest("key"))
    context = Context(
        store=world.store,
        bots=world.bots,
        reports=world.reports,
        recordings=world.recordings,
        webhooks=world.desk,
        feed=world.feed,
        stream=world.stream,
        keys=KeyCache(world.store, ttl_s=5),
        homes=Homes(ROOM_URL),
        admin_token=ADMIN_TOKEN,
    )
    transport = httpx.ASGITransport(create_app(context), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://usher.test") as http:
        yield Api(world, http, "key", context)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code"} <= found.keys()
    return found


async def test_a_bot_is_sent_by_url_alone(api: Api) -> None:
    answer = await api.send(bot_name="Note taker", language="en")
    body = answer.json()
    assert answer.status_code == 201
    assert (body["platform"], body["native_meeting_id"], body["status"]) == ("room", "weekly-sync", "requested")
    assert body["bot_name"] == "Note taker"


async def test_a_bot_is_sent_by_platform_and_id(api: Api) -> None:
    answer = await api.http.post("/bots", json={"platform": "room", "native_meeting_id": "abc"}, headers=api.mine)
    assert answer.status_code == 201
    assert answer.json()["constructed_meeting_url"] == f"{ROOM_URL}/abc"


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ({}, "invalid_request", "meeting_url"),
        ({"platform": "room"}, "invalid_request", "native_meeting_id"),
        ({"meeting_url": "nonsense"}, "bad_meeting_url", "https://"),
        ({"meeting_url": "https://example.com/x"}, "bad_meeting_url", "Google Meet"),
        ({"platform": "skype", "native_meeting_id": "x"}, "unknown_platform", "google_meet"),
        ({"platform": "room", "native_meeting_id": "No Spaces!"}, "bad_meeting_id", "weekly-sync"),
        ({"meeting_url": "https://meet.google.com/lookup/abcdefg"}, "bad_meeting_url", "lookup"),
        ({"platform": "janus", "native_meeting_id": "1234"}, "no_janus", "USHER_BOTS__JANUS_URL"),
        ({"meeting_url": f"{ROOM_URL}/abc", "task": "sing"}, "invalid_request", "task"),
        ({"meeting_url": f"{ROOM_URL}/abc", "typo": 1}, "invalid_request", "typo"),
        ({"meeting_url": f"{ROOM_URL}/abc", "join_at": "2030-01-01T00:00:00"}, "invalid_request", "time zone"),
    ],
)
async def test_bad_requests_are_told_what_to_change(api: Api, body: dict[str, Any], code: str, says: str) -> None:
    found = problem(await api.http.post("/bots", json=body, headers=api.mine), 422)
    assert found["code"] == code
    assert says in found["detail"]


async def test_a_missing_and_a_wrong_key(api: Api) -> None:
    assert problem(await api.http.get("/meetings"), 401)["code"] == "missing_api_key"
    wrong = await api.http.get("/meetings", headers={"X-API-Key": "wrong"})
    assert problem(wrong, 401)["code"] == "invalid_api_key"


async def test_a_second_bot_for_the_same_meeting(api: Api) -> None:
    first = (await api.send()).json()
    found = problem(await api.send(), 409)
    assert str(first["id"]) in found["detail"]


async def test_over_the_limit(api: Api) -> None:
    assert (await api.send("room-1")).status_code == 201
    assert (await api.send("room-2")).status_code == 201
    answer = await api.send("room-3")
    assert problem(answer, 429)["code"] == "max_concurrent_bots"
    assert answer.headers["retry-after"]


async def test_the_same_idempotency_key_sends_one_bot(api: Api) -> None:
    body, headers = {"meeting_url": f"{ROOM_URL}/abc"}, api.mine | {"Idempotency-Key": "k1"}
    first = await api.http.post("/bots", json=body, headers=headers)
    again = await api.http.post("/bots", json=body, headers=headers)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert again.headers["idempotent-replayed"] == "true"
    other = await api.http.post("/bots", json=body | {"language": "de"}, headers=headers)
    assert problem(other, 422)["code"] == "idempotency_key_reused"


async def test_stop_status_and_history(api: Api) -> None:
    meeting = (await api.send()).json()
    running = (await api.http.get("/bots/status", headers=api.mine)).json()["running_bots"]
    assert [bot["meeting_id_from_name"] for bot in running] == [str(meeting["id"])]
    stopped = await api.http.delete("/bots/room/weekly-sync", headers=api.mine)
    assert (stopped.status_code, stopped.json()["meeting"]["status"]) == (202, "completed")
    again = await api.http.delete("/bots/room/weekly-sync", headers=api.mine)
    assert again.status_code == 202
    events = (await api.http.get(f"/meetings/{meeting['id']}/events", headers=api.mine)).json()["events"]
    assert [(e["event"], e["to_state"], e["by"]) for e in events] == [
        ("requested", "requested", "user"),
        ("stop_requested", "completed", "user"),
    ]


async def test_unknown_things_are_404(api: Api) -> None:
    for path in ("/meetings/99", "/meetings/99/events", "/transcripts/room/nope"):
        assert problem(await api.http.get(path, headers=api.mine), 404)["code"] == "unknown_meeting"
    assert problem(await api.http.delete("/bots/room/nope", headers=api.mine), 404)
    assert problem(await api.http.get("/no/such/route"), 404)


async def test_configuration_outside_the_meeting(api: Api) -> None:
    await api.send()
    answer = await api.http.put("/bots/room/weekly-sync/config", json={"language": "de"}, headers=api.mine)
    assert problem(answer, 409)["code"] == "not_in_meeting"
    empty = await api.http.put("/bots/room/weekly-sync/config", json={}, headers=api.mine)
    assert problem(empty, 422)["code"] == "invalid_request"


async def test_meetings_are_listed_newest_first_in_pages(api: Api) -> None:
    for room in ("room-1", "room-2"):
        await api.send(room)
    listed = (await api.http.get("/meetings", params={"limit": 1}, headers=api.mine)).json()["meetings"]
    assert [m["native_meeting_id"] for m in listed] == ["room-2"]
    older = await api.http.get("/meetings", params={"before_id": listed[0]["id"]}, headers=api.mine)
    assert [m["native_meeting_id"] for m in older.json()["meetings"]] == ["room-1"]
    none = await api.http.get("/meetings", params={"status": "completed"}, headers=api.mine)
    assert none.json()["meetings"] == []


async def test_a_bots_callbacks_need_its_own_token(api: Api) -> None:
    meeting = (await api.send()).json()
    await api.world.settle()
    bot = await api.world.bot_of(meeting["id"])
    path = f"/internal/bots/{bot.connection_id}/started"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {api.key}"}):
        assert problem(await api.http.post(path, json={"seq": 1}, headers=headers), 401)["code"] == "bad_bot_token"
    good = {"Authorization": f"Bearer {api.world.credentials.token(bot)}"}
    first = await api.http.post(path, json={"seq": 1}, headers=good)
    again = await api.http.post(path, json={"seq": 1}, headers=good)
    assert first.json() == again.json() == {"outcome": "applied", "detail": ""}
    assert (await api.world.meeting(meeting["id"])).status == "active"


async def test_a_heartbeat_tells_of_missed_commands_and_of_the_end(api: Api) -> None:
    meeting = await api.world.active()
    bot = await api.world.bot_of(meeting.meeting_id)
    headers = {"Authorization": f"Bearer {api.world.credentials.token(bot)}"}
    base = f"/internal/bots/{bot.connection_id}"
    beat = await api.http.post(f"{base}/heartbeat", json={}, headers=headers)
    assert beat.json() == {"newest_seq": 0, "stored": []}
    await api.http.delete("/bots/room/weekly-sync", headers=api.mine)
    beat = await api.http.post(f"{base}/heartbeat", json={}, headers=headers)
    assert beat.json() == {"newest_seq": 1, "stored": []}
    commands = await api.http.get(f"{base}/commands", headers=headers)
    assert commands.json() == {"commands": [{"seq": 1, "action": "leave"}]}
    done = await api.http.post(f"{base}/commands/1", json={"outcome": "applied"}, headers=headers)
    assert done.status_code == 204
    await api.http.post(f"{base}/exited", json={"seq": 2, "exit_code": 0, "reason": "stopped"}, headers=headers)
    assert problem(await api.http.post(f"{base}/heartbeat", json={}, headers=headers), 410)["code"] == "attempt_over"


async def test_the_admin_api_makes_users_and_keys(api: Api) -> None:
    assert problem(await api.http.get("/admin/users"), 401)["code"] == "bad_admin_token"
    admin = {"X-Admin-API-Key": ADMIN_TOKEN}
    user = (await api.http.post("/admin/users", json={"email": "Bo@example.com"}, headers=admin)).json()
    token = (await api.http.post(f"/admin/users/{user['id']}/tokens", headers=admin)).json()
    mine = {"X-API-Key": token["token"]}
    assert (await api.http.get("/meetings", headers=mine)).json() == {"meetings": [], "next_before_id": None}
    assert (await api.http.delete(f"/admin/tokens/{token['id']}", headers=admin)).status_code == 204
    assert problem(await api.http.delete(f"/admin/tokens/{token['id']}", headers=admin), 404)


async def test_a_body_over_the_limit_is_refused(api: Api) -> None:
    answer = await api.http.post("/bots", content=b"x" * (300 * 1024), headers=api.mine)
    assert problem(answer, 413)["code"] == "http_413"


async def test_every_answer_carries_security_headers(api: Api) -> None:
    assert (await api.http.get("/health")).headers["x-content-type-options"] == "nosniff"


async def test_where_bots_alone_are_served_nobody_reaches_the_users_or_the_admin_api(api: Api) -> None:
    transport = httpx.ASGITransport(create_bots_app(api.context), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://bots.test") as http:
        for path in ("/bots", "/meetings", "/admin/users", "/health", "/metrics", "/docs", "/openapi.json"):
            assert (await http.get(path, headers={**api.mine, "X-Admin-API-Key": ADMIN_TOKEN})).status_code == 404
        report = await http.post("/internal/bots/00000000-0000-4000-8000-000000000000/started")
    assert report.status_code == 401
