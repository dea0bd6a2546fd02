"""Evidence over the REST API: shown by a bot, looked at by its user."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.api.test_rest import Api, open_api, problem

from usher.api.keys import digest
from usher.protocol.evidence import MOST_BODY_BYTES, MOST_SCREENSHOT_BYTES, MOST_TREE_BYTES

JPEG = b"\xff\xd8\xff" + bytes(range(256)) * 1000


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made


async def joining(api: Api) -> tuple[int, str, dict[str, str]]:
    """Return a meeting, where its bot calls, and the bot's headers."""
    meeting = await api.world.send_bot()
    await api.world.settle()
    bot = await api.world.bot_of(meeting.meeting_id)
    token = api.world.credentials.token(bot)
    return meeting.meeting_id, f"/internal/bots/{bot.connection_id}", {"Authorization": f"Bearer {token}"}


def evidence(**more: object) -> dict[str, Any]:
    return {
        "step": "give_name",
        "reason": "join_failed",
        "title": "Meet",
        "address": "https://meet.example/abc",
        "screenshot": base64.b64encode(JPEG).decode(),
        "tree": '- textbox "Your name"\n- text: Zoë',
        **more,
    }


async def test_what_a_bot_shows_its_user_sees(api: Api) -> None:
    meeting_id, base, headers = await joining(api)
    assert (await api.http.post(f"{base}/evidence", json=evidence(), headers=headers)).status_code == 204
    mine = f"/meetings/{meeting_id}/evidence"
    (listed,) = (await api.http.get(mine, headers=api.mine)).json()["evidence"]
    assert (listed["id"], listed["attempt"], listed["step"], listed["reason"]) == (1, 1, "give_name", "join_failed")
    assert (listed["title"], listed["address"]) == ("Meet", "https://meet.example/abc")
    assert (listed["screenshot_bytes"], listed["tree_characters"]) == (len(JPEG), len(evidence()["tree"]))
    picture = await api.http.get(f"{mine}/1/screenshot", headers=api.mine)
    assert (picture.content, picture.headers["content-type"]) == (JPEG, "image/jpeg")
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert picture.headers["content-disposition"] == f'attachment; filename="meeting-{meeting_id}-evidence-1.jpg"'
    tree = await api.http.get(f"{mine}/1/tree", headers=api.mine)
    assert (tree.text, tree.headers["content-type"]) == (evidence()["tree"], "text/plain; charset=utf-8")


async def test_evidence_may_be_little(api: Api) -> None:
    meeting_id, base, headers = await joining(api)
    body = {"step": "open_page", "reason": "a_new_word"}
    assert (await api.http.post(f"{base}/evidence", json=body, headers=headers)).status_code == 204
    mine = f"/meetings/{meeting_id}/evidence"
    assert problem(await api.http.get(f"{mine}/1/screenshot", headers=api.mine), 404)["code"] == "no_screenshot"
    assert (await api.http.get(f"{mine}/1/tree", headers=api.mine)).text == ""
    assert problem(await api.http.get(f"{mine}/2/tree", headers=api.mine), 404)["code"] == "unknown_evidence"


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": ""},
        {"screenshot": base64.b64encode(b"<svg onload='alert(1)'>").decode()},
        {"screenshot": "no base64!"},
        {"screenshot": base64.b64encode(b"\xff\xd8\xff" + b"x" * MOST_SCREENSHOT_BYTES).decode()},
        {"tree": "x" * (MOST_TREE_BYTES + 1)},
    ],
)
async def test_what_cannot_be_evidence_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    meeting_id, base, headers = await joining(api)
    problem(await api.http.post(f"{base}/evidence", json=evidence(**wrong), headers=headers), 422)
    assert (await api.http.get(f"/meetings/{meeting_id}/evidence", headers=api.mine)).json() == {"evidence": []}


async def test_the_largest_evidence_fits_and_a_larger_body_does_not(api: Api) -> None:
    _, base, headers = await joining(api)
    picture = base64.b64encode(b"\xff\xd8\xff" + b"x" * (MOST_SCREENSHOT_BYTES - 3)).decode()
    largest = evidence(screenshot=picture, tree="x" * MOST_TREE_BYTES)
    assert (await api.http.post(f"{base}/evidence", json=largest, headers=headers)).status_code == 204
    answer = await api.http.post(f"{base}/evidence", content=b"x" * (MOST_BODY_BYTES + 1), headers=headers)
    assert problem(answer, 413)["code"] == "http_413"
    elsewhere = await api.http.post("/meetings/evidence", content=b"x" * (300 * 1024), headers=api.mine)
    assert elsewhere.status_code != 200, "only bots may send that much"


async def test_only_the_bot_of_the_attempt_shows_evidence(api: Api) -> None:
    meeting_id, base, headers = await joining(api)
    wrong = {"Authorization": "Bearer wrong"}
    assert problem(await api.http.post(f"{base}/evidence", json=evidence(), headers=wrong), 401)
    await api.http.delete("/bots/room/weekly-sync", headers=api.mine)
    await api.http.post(f"{base}/exited", json={"seq": 1, "exit_code": 0, "reason": "stopped"}, headers=headers)
    late = await api.http.post(f"{base}/evidence", json=evidence(), headers=headers)
    assert problem(late, 410)["code"] == "attempt_over"
    assert (await api.http.get(f"/meetings/{meeting_id}/evidence", headers=api.mine)).json() == {"evidence": []}


async def test_only_its_owner_sees_evidence(api: Api) -> None:
    meeting_id, base, headers = await joining(api)
    await api.http.post(f"{base}/evidence", json=evidence(), headers=headers)
    other = await api.world.store.create_user("eve@example.com", name=None, max_concurrent_bots=1)
    await api.world.store.add_token(other.user_id, digest("eve"))
    for path in ("", "/1/screenshot", "/1/tree"):
        answer = await api.http.get(f"/meetings/{meeting_id}/evidence{path}", headers={"X-API-Key": "eve"})
        assert problem(answer, 404)["code"] == "unknown_meeting"
        assert problem(await api.http.get(f"/meetings/{meeting_id}/evidence{path}"), 401)


async def test_a_failed_meeting_names_the_step(api: Api) -> None:
    meeting_id, base, headers = await joining(api)
    await api.http.post(f"{base}/status", json={"seq": 1, "status": "joining"}, headers=headers)
    last_word = {"seq": 2, "exit_code": 0, "reason": "rejected", "detail": "ask_to_join: the host denied it"}
    await api.http.post(f"{base}/exited", json=last_word, headers=headers)
    meeting = (await api.http.get(f"/meetings/{meeting_id}", headers=api.mine)).json()
    assert (meeting["status"], meeting["failure_stage"]) == ("failed", "joining")
    assert meeting["failure_detail"] == "exit code 0. ask_to_join: the host denied it"
