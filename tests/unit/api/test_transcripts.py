"""Transcripts over the REST API: every form, and links for people without a key."""

from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from tests.property.test_subtitles import read_srt, read_vtt
from tests.unit.api.test_meetings import over
from tests.unit.api.test_rest import Api, open_api, problem

from usher.ports import Meeting

TEXTS = ("Grüße <Zoë> & --> 漢字", "Goodbye.")


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made


async def get(api: Api, path: str, **headers: str) -> httpx.Response:
    return await api.http.get(path, headers={**api.mine, **headers})


async def share(api: Api, meeting: Meeting, **body: int) -> dict[str, str]:
    made = await api.http.post(f"/meetings/{meeting.meeting_id}/shares", json=body, headers=api.mine)
    assert made.status_code == 201, made.text
    found: dict[str, str] = made.json()
    return found


async def test_a_transcript_is_given_out_in_every_form(api: Api) -> None:
    meeting = await over(api, "weekly-sync", *TEXTS)
    by_name, by_id = "/transcripts/room/weekly-sync", f"/transcripts/by-id/{meeting.meeting_id}"
    body = (await get(api, by_name)).json()
    assert [segment["text"] for segment in body["segments"]] == list(TEXTS)
    assert (await get(api, by_id)).json() == body
    kinds = {"txt": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}
    for form, kind in kinds.items():
        answer = await get(api, f"{by_name}?format={form}")
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        file_name = f"meeting-{meeting.meeting_id}-transcript.{form}"
        assert answer.headers["content-disposition"] == f'attachment; filename="{file_name}"'
        assert answer.headers["cache-control"] == "private, no-store"
        for path, headers in ((by_id, {"Accept": kind}), (by_name, {"Accept": f"application/json;q=0.2, {kind}"})):
            assert (await get(api, path, **headers)).content == answer.content
        assert "Ann" in answer.content.decode()
    assert (await get(api, f"{by_name}?format=json", Accept="text/vtt")).json() == body
    vtt = read_vtt((await get(api, f"{by_name}?format=vtt")).text)
    assert [" ".join(cue.lines) for cue in vtt] == list(TEXTS)
    assert {cue.speaker for cue in vtt} == {"Ann"}
    assert len(read_srt((await get(api, f"{by_name}?format=srt")).text)) == 2


async def test_times_count_from_the_admission_in_every_form(api: Api) -> None:
    meeting = await over(api, "weekly-sync", *TEXTS)
    assert meeting.start_time is not None
    (_, second) = (await get(api, f"/transcripts/by-id/{meeting.meeting_id}")).json()["segments"]
    cue = read_vtt((await get(api, f"/transcripts/by-id/{meeting.meeting_id}?format=vtt")).text)[1]
    assert (cue.begin, cue.end) == (round(second["start"] * 1000), round(second["end"] * 1000))


@pytest.mark.parametrize(
    "accept", ["*/*", "", "text/html", "application/pdf;q=1", "text/vtt;q=0", "text/vtt;q=x", ",;,"]
)
async def test_anything_else_means_json(api: Api, accept: str) -> None:
    meeting = await over(api)
    answer = await get(api, f"/transcripts/by-id/{meeting.meeting_id}", Accept=accept)
    assert answer.json()["id"] == meeting.meeting_id


async def test_an_unknown_form_is_refused(api: Api) -> None:
    meeting = await over(api)
    refused = problem(await get(api, f"/transcripts/by-id/{meeting.meeting_id}?format=docx"), 422)
    assert "format" in refused["detail"]


async def test_a_link_opens_the_transcript_without_a_key_and_shows_no_way_into_the_meeting(api: Api) -> None:
    meeting = await over(api, "weekly-sync", *TEXTS)
    await api.world.store.put_data(meeting.meeting_id, {"name": "Weekly"})
    made = await share(api, meeting, expires_in_s=3600)
    assert made["path"] == f"/shared/{made['token']}"
    assert len(made["token"]) >= 43
    answer = await api.http.get(made["path"])
    body = answer.json()
    assert [segment["text"] for segment in body["segments"]] == list(TEXTS)
    assert body.keys() == {"name", "status", "start_time", "end_time", "segments"}
    assert body["name"] == "Weekly"
    assert "weekly-sync" not in answer.text
    assert [" ".join(cue.lines) for cue in read_vtt((await api.http.get(f"{made['path']}?format=vtt")).text)] == [
        *TEXTS
    ]
    for one in (answer, await api.http.get(made["path"], headers={"Accept": "text/plain"})):
        assert one.headers["referrer-policy"] == "no-referrer"
        assert one.headers["cache-control"] == "private, no-store"
        assert one.headers["x-robots-tag"] == "noindex"


async def test_a_link_ends_in_time_or_when_it_is_taken_back_or_the_meeting_deleted(api: Api) -> None:
    meeting = await over(api, "weekly-sync", *TEXTS)
    short, long, last = [await share(api, meeting, expires_in_s=seconds) for seconds in (60, 600, 6000)]
    by_name = await api.http.post("/transcripts/room/weekly-sync/share", json={}, headers=api.mine)
    assert by_name.json()["meeting_id"] == meeting.meeting_id
    api.world.clock.advance(61.0)
    of = f"/meetings/{meeting.meeting_id}/shares"
    listed = (await get(api, of)).json()["shares"]
    assert [one["id"] for one in listed] == [long["id"], last["id"], by_name.json()["id"]]
    assert not any("token" in one for one in listed)
    assert (await api.http.delete(f"{of}/{long['id']}", headers=api.mine)).status_code == 204
    assert problem(await api.http.delete(f"{of}/{long['id']}", headers=api.mine), 404)["code"] == "unknown_share"
    never = problem(await api.http.get("/shared/never"), 404)
    assert problem(await api.http.get(short["path"]), 404) == never
    assert problem(await api.http.get(long["path"]), 404) == never
    assert (await api.http.get(last["path"])).status_code == 200
    await api.http.delete(f"/meetings/{meeting.meeting_id}", headers=api.mine)
    assert problem(await api.http.get(last["path"]), 404) == never


@pytest.mark.parametrize("body", [{"expires_in_s": 59}, {"expires_in_s": 10**9}, {"expires_in_s": "soon"}, {"x": 1}])
async def test_wrong_links_are_refused(api: Api, body: dict[str, object]) -> None:
    meeting = await over(api)
    answer = await api.http.post(f"/meetings/{meeting.meeting_id}/shares", json=body, headers=api.mine)
    assert problem(answer, 422)
    assert not await api.world.store.shares(meeting.meeting_id)


async def test_the_token_of_a_link_is_not_in_the_log_even_when_something_breaks(api: Api) -> None:
    meeting = await over(api, "weekly-sync", *TEXTS)
    made = await share(api, meeting)

    async def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    api.world.store.segments = broken  # type: ignore[method-assign,assignment]  # a bug is planted
    with structlog.testing.capture_logs() as log:
        assert problem(await api.http.get(made["path"]), 500)
        assert problem(await api.http.get("/shared/never"), 404)
    assert "/shared/{token}" in str(log)
    assert made["token"] not in str(log)
    stored = list(api.world.store._tables.shares)  # noqa: SLF001 - what is stored is the point
    assert made["token"].encode() not in b"".join(stored)
