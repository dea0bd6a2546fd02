"""Meetings over the REST API: listed, described, and deleted; and nobody else's."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from tests.support.world import exited
from tests.unit.api.test_rest import ROOM_URL, Api, open_api, problem

from usher.api.keys import digest
from usher.domain.errors import Unavailable
from usher.domain.lifecycle import Reason
from usher.domain.transcript import Segment
from usher.ports import HeardSegment, Meeting
from usher.protocol.recordings import MIXED, FileDescription

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
THEIRS = {"X-API-Key": "other"}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        eve = await made.world.store.create_user("eve@example.com", name="Eve", max_concurrent_bots=3)
        await made.world.store.add_token(eve.user_id, digest("other"))
        yield made


async def over(api: Api, room: str = "weekly-sync", *texts: str) -> Meeting:
    """Return a meeting that is over, in which that was said."""
    world = api.world
    meeting = await world.active(room)
    await world.store.save([], [said(meeting, text, number) for number, text in enumerate(texts)])
    await world.reports.exited(await world.bot_of(meeting.meeting_id), exited(0, Reason.MEETING_ENDED))
    for _ in range(3):
        await world.settle()
        world.clock.advance(1.0)
    return await world.meeting(meeting.meeting_id)


def said(meeting: Meeting, text: str, number: int = 0) -> HeardSegment:
    start, end = (BEGAN + timedelta(seconds=2 * number + more) for more in (0, 1))
    segment = Segment(f"{number}", 1, "s", 0, 1, start, end, text, "Ann", "en", completed=True)
    return HeardSegment(meeting.meeting_id, segment)


async def listed(api: Api, **query: str | list[str]) -> list[str]:
    answer = await api.http.get("/meetings", params=query, headers=api.mine)
    assert answer.status_code == 200, answer.text
    return [meeting["native_meeting_id"] for meeting in answer.json()["meetings"]]


async def test_all_pages_together_are_all_meetings(api: Api) -> None:
    rooms = [f"room-{number}" for number in range(7)]
    for room in rooms:
        await over(api, room)
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3}
    while True:
        page = (await api.http.get("/meetings", params=query, headers=api.mine)).json()
        seen += [meeting["native_meeting_id"] for meeting in page["meetings"]]
        if page["next_before_id"] is None:
            break
        query["before_id"] = page["next_before_id"]
    assert seen == rooms[::-1]
    whole = (await api.http.get("/meetings", params={"limit": 7}, headers=api.mine)).json()
    assert (len(whole["meetings"]), whole["next_before_id"]) == (7, None)


async def test_meetings_are_filtered(api: Api) -> None:
    await over(api, "first")
    middle = api.world.clock.now.isoformat()
    api.world.clock.advance(10.0)
    await api.send("second")
    assert await listed(api, platform="room") == ["second", "first"]
    assert await listed(api, platform="zoom") == []
    assert await listed(api, since=middle) == ["second"]
    assert await listed(api, until=middle) == ["first"]
    assert await listed(api, status="completed") == ["first"]
    assert await listed(api, status=["completed", "requested"], platform="room", native_meeting_id="first") == ["first"]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"platform": "skype"}, "google_meet"),
        ({"since": "2026-01-01T00:00:00"}, "timezone"),
        ({"until": "yesterday"}, "until"),
        ({"native_meeting_id": "weekly-sync"}, "platform"),
        ({"status": "gone"}, "status"),
        ({"limit": 0}, "limit"),
    ],
)
async def test_wrong_filters_are_told_what_to_change(api: Api, query: dict[str, str], says: str) -> None:
    assert says in problem(await api.http.get("/meetings", params=query, headers=api.mine), 422)["detail"]


async def patch(api: Api, path: str, data: object, **headers: str) -> httpx.Response:
    return await api.http.patch(path, json={"data": data}, headers={**api.mine, **headers})


async def test_what_is_said_of_a_meeting_is_merged_and_shown(api: Api) -> None:
    meeting = await api.world.active()
    await api.world.store.put_data(meeting.meeting_id, {"kept": 1})
    by_id = f"/meetings/{meeting.meeting_id}"
    first = await patch(api, by_id, {"name": "Weekly", "participants": ["Ann", "Ben"]})
    assert first.status_code == 200
    second = await patch(api, "/meetings/room/weekly-sync", {"notes": "x" * 10_000, "languages": ["en"], "name": None})
    shown = (await api.http.get(by_id, headers=api.mine)).json()
    assert second.json() == shown
    data = {"kept": 1, "name": "Weekly", "participants": ["Ann", "Ben"], "notes": "x" * 10_000, "languages": ["en"]}
    assert shown["data"] == data
    await patch(api, by_id, {"name": "", "participants": []})
    assert (await api.http.get(by_id, headers=api.mine)).json()["data"] == data | {"name": "", "participants": []}


async def test_what_the_user_said_is_not_overwritten_by_what_was_found_out(api: Api) -> None:
    meeting = await api.world.active()
    await patch(api, f"/meetings/{meeting.meeting_id}", {"participants": ["Zoe"]})
    await api.world.store.save([], [said(meeting, "hello there")])
    await api.world.reports.exited(await api.world.bot_of(meeting.meeting_id), exited(0, Reason.MEETING_ENDED))
    await api.world.settle()
    data = (await api.world.meeting(meeting.meeting_id)).data
    assert (data["participants"], data["languages"], data["totals"]["words"]) == (["Zoe"], ["en"], 2)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "data"),
        ({"data": {}}, "name, participants, languages or notes"),
        ({"data": {"name": None}}, "name, participants, languages or notes"),
        ({"data": {"colour": "red"}}, "data.colour"),
        ({"data": {"redacted": True}}, "data.redacted"),
        ({"data": {"name": "x"}, "status": "completed"}, "status"),
        ({"data": {"name": "x" * 201}}, "data.name"),
        ({"data": {"notes": "x" * 10_001}}, "data.notes"),
        ({"data": {"participants": "Ann"}}, "data.participants"),
        ({"data": {"participants": [""]}}, "data.participants.0"),
        ({"data": {"participants": ["x"] * 201}}, "data.participants"),
        ({"data": {"languages": ["English"]}}, "data.languages.0"),
        ([], "dictionary"),
    ],
)
async def test_wrong_descriptions_are_told_what_to_change(api: Api, body: object, says: str) -> None:
    meeting = await api.world.active()
    answer = await api.http.patch(f"/meetings/{meeting.meeting_id}", json=body, headers=api.mine)
    assert says in problem(answer, 422)["detail"]
    assert not (await api.world.meeting(meeting.meeting_id)).data


async def test_a_meeting_is_deleted_for_good(api: Api) -> None:
    meeting = await over(api, "weekly-sync", "secret")
    by_id = f"/meetings/{meeting.meeting_id}"
    await patch(api, by_id, {"notes": "secret"})
    for _ in range(2):
        deleted = await api.http.delete(by_id, headers=api.mine)
        assert (deleted.status_code, deleted.json()["meeting_id"]) == (200, meeting.meeting_id)
    shown = (await api.http.get(by_id, headers=api.mine)).json()
    assert (shown["native_meeting_id"], shown["constructed_meeting_url"], shown["status"]) == ("", "", "completed")
    assert shown["data"].keys() == {"redacted", "totals"}
    assert problem(await api.http.get(f"/transcripts/by-id/{meeting.meeting_id}", headers=api.mine), 404)
    assert problem(await api.http.get("/transcripts/room/weekly-sync", headers=api.mine), 404)
    assert problem(await patch(api, by_id, {"notes": "again"}), 409)["code"] == "meeting_deleted"
    share = await api.http.post(f"{by_id}/shares", json={}, headers=api.mine)
    assert problem(share, 409)["code"] == "meeting_deleted"
    assert problem(await api.http.delete("/meetings/room/weekly-sync", headers=api.mine), 404)


async def test_a_meeting_is_not_deleted_while_it_is_not_over_or_its_bot_not_gone(api: Api) -> None:
    meeting = await api.world.active()
    by_id = f"/meetings/{meeting.meeting_id}"
    assert problem(await api.http.delete(by_id, headers=api.mine), 409)["code"] == "meeting_not_over"
    await api.world.reports.exited(await api.world.bot_of(meeting.meeting_id), exited(0, Reason.MEETING_ENDED))
    assert problem(await api.http.delete(by_id, headers=api.mine), 409)["code"] == "bot_not_gone"
    await api.world.settle()
    assert (await api.http.delete(by_id, headers=api.mine)).status_code == 200


async def test_by_its_name_the_only_visit_is_deleted_and_never_one_of_several(api: Api) -> None:
    first, second = await over(api, "weekly-sync", "one"), await over(api, "weekly-sync", "two")
    by_name = "/meetings/room/weekly-sync"
    assert problem(await api.http.delete(by_name, headers=api.mine), 409)["code"] == "several_visits"
    assert (await api.http.delete(f"/meetings/{second.meeting_id}", headers=api.mine)).status_code == 200
    assert (await api.http.delete(by_name, headers=api.mine)).json()["meeting_id"] == first.meeting_id
    assert problem(await api.http.delete(by_name, headers=api.mine), 404)["code"] == "unknown_meeting"


async def test_recordings_are_deleted_with_their_meeting(api: Api) -> None:
    world, meeting = api.world, await api.world.active()
    bot = await world.bot_of(meeting.meeting_id)
    await world.recordings.describe(bot, MIXED, FileDescription(started_at=BEGAN))
    await world.recordings.take(bot, MIXED, 0, 5000, b"sound")
    await world.reports.exited(bot, exited(0, Reason.MEETING_ENDED))
    await world.settle()
    assert world.recording_store.kept
    assert (await api.http.delete(f"/meetings/{meeting.meeting_id}", headers=api.mine)).status_code == 200
    assert not world.recording_store.kept
    assert (await api.http.get("/recordings", headers=api.mine)).json() == {"recordings": []}


async def test_what_is_somebody_elses_is_unknown(api: Api) -> None:
    meeting = await over(api, "weekly-sync", "secret")
    share = (await api.http.post(f"/meetings/{meeting.meeting_id}/shares", json={}, headers=api.mine)).json()
    before = (await api.http.get(f"/meetings/{meeting.meeting_id}", headers=api.mine)).json()
    name, by_id = "room/weekly-sync", str(meeting.meeting_id)
    calls = [
        ("PATCH", f"/meetings/{name}", {"data": {"name": "x"}}),
        ("PATCH", f"/meetings/{by_id}", {"data": {"name": "x"}}),
        ("DELETE", f"/meetings/{name}", None),
        ("DELETE", f"/meetings/{by_id}", None),
        ("GET", f"/transcripts/{name}", None),
        ("GET", f"/transcripts/{name}?meeting_id={by_id}", None),
        ("GET", f"/transcripts/by-id/{by_id}?format=txt", None),
        ("POST", f"/transcripts/{name}/share", {}),
        ("POST", f"/meetings/{by_id}/shares", {}),
        ("GET", f"/meetings/{by_id}/shares", None),
        ("DELETE", f"/meetings/{by_id}/shares/{share['id']}", None),
    ]
    for method, path, body in calls:
        refused = problem(await api.http.request(method, path, json=body, headers=THEIRS), 404)
        assert refused["code"] == "unknown_meeting", (method, path)
        assert problem(await api.http.request(method, path, json=body), 401)
    assert (await api.http.get("/meetings", headers=THEIRS)).json()["meetings"] == []
    assert (await api.http.get(f"/meetings/{by_id}", headers=api.mine)).json() == before
    assert (await api.http.get(share["path"])).status_code == 200
    their = await api.http.post("/bots", json={"meeting_url": f"{ROOM_URL}/theirs"}, headers=THEIRS)
    elsewhere = f"/meetings/{their.json()['id']}/shares/{share['id']}"
    assert problem(await api.http.delete(elsewhere, headers=THEIRS), 404)["code"] == "unknown_share"


async def test_while_redis_or_the_recordings_are_away_nothing_of_the_text_is_deleted(api: Api) -> None:
    meeting = await over(api, "weekly-sync", "secret")

    async def away(*_: object) -> None:
        raise Unavailable("away")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(api.world.stream, "forget", away)
        assert problem(await api.http.delete(f"/meetings/{meeting.meeting_id}", headers=api.mine), 503)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(api.world.recordings, "delete_of_meeting", away)
        assert problem(await api.http.delete(f"/meetings/{meeting.meeting_id}", headers=api.mine), 503)
    assert not await api.world.store.is_erased(meeting.meeting_id)
    assert (await api.http.delete("/meetings/room/weekly-sync", headers=api.mine)).status_code == 200
