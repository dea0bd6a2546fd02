"""`/webhooks`."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.api.test_rest import Api, open_api, problem

from usher.api.keys import digest
from usher.client.webhooks import verify
from usher.ports import Undelivered
from usher.protocol.webhooks import is_secret, sign

URL = "https://example.com/usher"
BOB = {"X-API-Key": "bobs-key"}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        bob = await made.world.store.create_user("bob@example.com", name=None, max_concurrent_bots=1)
        await made.world.store.add_token(bob.user_id, digest("bobs-key"))
        yield made


async def add(api: Api, **more: str | list[str]) -> dict[str, Any]:
    answer = await api.http.post("/webhooks", json={"url": URL} | more, headers=api.mine)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_webhook_is_added_shown_changed_and_deleted(api: Api) -> None:
    made = await add(api, events=["bot.admitted", "meeting.finished"], description="for the wiki")
    secret = made.pop("secret")
    assert is_secret(secret)
    assert (made["url"], made["description"]) == (URL, "for the wiki")
    assert made["events"] == ["bot.admitted", "meeting.finished"]
    assert (made["enabled"], made["gone"], made["account"]) == (True, False, False)
    path = f"/webhooks/{made['id']}"
    assert (await api.http.get(path, headers=api.mine)).json() == made
    assert (await api.http.get("/webhooks", headers=api.mine)).json() == {"webhooks": [made]}
    changed = await api.http.patch(path, json={"enabled": False, "events": ["transcript.ready"]}, headers=api.mine)
    assert changed.json() == made | {"enabled": False, "events": ["transcript.ready"]}
    assert (await api.http.delete(path, headers=api.mine)).status_code == 204
    assert problem(await api.http.get(path, headers=api.mine), 404)["code"] == "unknown_webhook"
    assert problem(await api.http.delete(path, headers=api.mine), 404)["code"] == "unknown_webhook"


async def test_the_webhook_without_an_id_is_one_of_them(api: Api) -> None:
    made = (await api.http.put("/user/webhook", json={"webhook_url": URL}, headers=api.mine)).json()
    (listed,) = (await api.http.get("/webhooks", headers=api.mine)).json()["webhooks"]
    assert (listed["url"], listed["account"], listed["events"]) == (URL, True, ["meeting.status_change"])
    assert made["webhook_secret"] not in json.dumps(listed)
    moved = {"url": "https://example.com/moved"}
    await api.http.patch(f"/webhooks/{listed['id']}", json=moved, headers=api.mine)
    assert (await api.http.get("/user/webhook", headers=api.mine)).json()["webhook_url"] == moved["url"]
    await api.http.put("/user/webhook", json={"webhook_url": None}, headers=api.mine)
    assert (await api.http.get("/webhooks", headers=api.mine)).json() == {"webhooks": []}


@pytest.mark.parametrize("url", ["http://example.com/", "https://169.254.169.254/", "https://redis/", "nonsense"])
async def test_what_can_never_be_sent_to_is_refused(api: Api, url: str) -> None:
    answer = await api.http.post("/webhooks", json={"url": url}, headers=api.mine)
    assert problem(answer, 422)["code"] == "bad_webhook_url"
    made = await add(api)
    answer = await api.http.patch(f"/webhooks/{made['id']}", json={"url": url}, headers=api.mine)
    assert problem(answer, 422)["code"] == "bad_webhook_url"
    assert (await api.http.get(f"/webhooks/{made['id']}", headers=api.mine)).json()["url"] == URL


@pytest.mark.parametrize(
    "body", [{}, {"url": URL, "events": []}, {"url": URL, "events": ["webhook.test"]}, {"url": URL, "secret": "mine"}]
)
async def test_a_webhook_that_says_nothing_sensible_is_refused(api: Api, body: dict[str, Any]) -> None:
    assert problem(await api.http.post("/webhooks", json=body, headers=api.mine), 422)["code"] == "invalid_request"


@pytest.mark.parametrize("body", [{}, {"url": None}, {"events": []}, {"account": True}])
async def test_a_change_of_nothing_is_refused(api: Api, body: dict[str, Any]) -> None:
    made = await add(api)
    answer = await api.http.patch(f"/webhooks/{made['id']}", json=body, headers=api.mine)
    assert problem(answer, 422)["code"] == "invalid_request"


async def test_there_are_only_so_many(api: Api) -> None:
    for _ in range(16):
        await add(api)
    answer = await api.http.post("/webhooks", json={"url": URL}, headers=api.mine)
    assert problem(answer, 429)["code"] == "too_many_webhooks"


async def test_another_users_webhook_is_unknown(api: Api) -> None:
    made = await add(api)
    await api.send()
    await api.world.settle()
    (delivery, *_) = await deliveries(api, made)
    path, before = f"/webhooks/{made['id']}", len(api.world.webhooks.sent)
    for method, tail, body in (
        ("GET", "", None),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("POST", "/secret", None),
        ("POST", "/test", None),
        ("GET", "/deliveries", None),
        ("POST", f"/deliveries/{delivery['id']}/replay", None),
    ):
        answer = await api.http.request(method, path + tail, json=body, headers=BOB)
        assert problem(answer, 404)["code"] == "unknown_webhook", tail
    bobs = (await api.http.post("/webhooks", json={"url": URL}, headers=BOB)).json()
    stolen = f"/webhooks/{bobs['id']}/deliveries/{delivery['id']}/replay"
    assert problem(await api.http.post(stolen, headers=BOB), 404)["code"] == "unknown_delivery"
    await api.world.settle()
    assert len(api.world.webhooks.sent) == before
    shown = (await api.http.get(path, headers=api.mine)).json()
    assert shown == {name: value for name, value in made.items() if name != "secret"}


async def test_a_new_secret_signs_beside_the_old_one(api: Api) -> None:
    made = await add(api)
    answer = await api.http.post(f"/webhooks/{made['id']}/secret", headers=api.mine)
    new = answer.json()
    assert is_secret(new["secret"])
    assert new["secret"] != made["secret"]
    assert new["old_secret_good_s"] == 24 * 3600
    await api.http.post(f"/webhooks/{made['id']}/test", headers=api.mine)
    (webhook, _) = api.world.webhooks.sent[-1]
    assert (webhook.secret, webhook.old_secret) == (new["secret"], made["secret"])
    api.world.clock.advance(24 * 3600 + 1)
    await api.http.post(f"/webhooks/{made['id']}/test", headers=api.mine)
    (webhook, _) = api.world.webhooks.sent[-1]
    assert (webhook.secret, webhook.old_secret) == (new["secret"], None)


async def test_a_test_tells_what_the_server_said(api: Api) -> None:
    made = await add(api)
    path = f"/webhooks/{made['id']}/test"
    worked = (await api.http.post(path, headers=api.mine)).json()
    (_, notice) = api.world.webhooks.sent[-1]
    assert worked == {"message_id": notice.notice_id, "delivered": True, "status_code": None, "error": None}
    body = json.loads(notice.body)
    assert (body["event_type"], body["event_id"]) == ("webhook.test", notice.notice_id)
    assert body["data"] == {"webhook_id": made["id"]}
    api.world.webhooks.answers.append(Undelivered("HTTP 410", unwanted=True, status_code=410))
    failed = (await api.http.post(path, headers=api.mine)).json()
    assert (failed["delivered"], failed["status_code"], failed["error"]) == (False, 410, "HTTP 410")
    assert (await api.http.get(f"/webhooks/{made['id']}", headers=api.mine)).json()["enabled"]
    assert not await deliveries(api, made), "a test is not owed to anybody"


async def deliveries(api: Api, made: dict[str, Any], **query: int) -> list[dict[str, Any]]:
    answer = await api.http.get(f"/webhooks/{made['id']}/deliveries", params=query, headers=api.mine)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


async def test_the_log_tells_of_every_try_and_a_failed_message_is_replayed(api: Api) -> None:
    made = await add(api)
    api.world.webhooks.answers.append(Undelivered("HTTP 503", status_code=503))
    meeting = (await api.send()).json()["id"]
    await api.world.settle()
    second, first = await deliveries(api, made)
    assert (first["message_id"], first["status"], first["attempts"]) == (f"msg_{meeting}_1", "waiting", 1)
    assert (first["status_code"], first["error"], first["delivered_at"]) == (503, "HTTP 503", None)
    assert first["next_at"] > first["last_at"]
    assert (second["message_id"], second["status"], second["error"]) == (f"msg_{meeting}_2", "delivered", None)
    assert (second["meeting_id"], second["version"], second["next_at"]) == (meeting, 2, None)
    for one in (first, second):
        path = f"/webhooks/{made['id']}/deliveries/{one['id']}/replay"
        assert (await api.http.post(path, headers=api.mine)).status_code == 204
    await api.world.settle()
    assert [one["status"] for one in await deliveries(api, made)] == ["delivered", "delivered"]
    ids = [notice.notice_id for _, notice in api.world.webhooks.sent]
    assert sorted(ids) == [f"msg_{meeting}_1", f"msg_{meeting}_2", f"msg_{meeting}_2"], "under the same id"
    path = f"/webhooks/{made['id']}/deliveries/{second['id'] + 1000}/replay"
    assert problem(await api.http.post(path, headers=api.mine), 404)["code"] == "unknown_delivery"


async def test_the_log_is_read_in_pages(api: Api) -> None:
    made = await add(api)
    await api.send()
    await api.world.settle()
    path = f"/webhooks/{made['id']}/deliveries"
    first = (await api.http.get(path, params={"limit": 1}, headers=api.mine)).json()
    assert [one["version"] for one in first["deliveries"]] == [2]
    rest = await api.http.get(path, params={"limit": 1, "before_id": first["next_before_id"]}, headers=api.mine)
    assert [one["version"] for one in rest.json()["deliveries"]] == [1]
    assert rest.json()["next_before_id"] is None


async def test_what_is_sent_is_what_receivers_can_check(api: Api) -> None:
    """From the API's secret to the receiver's check, over the real sender's signature."""
    made = await add(api)
    await api.send()
    await api.world.settle()
    webhook, notice = api.world.webhooks.sent[0]
    headers = sign(webhook.secret, notice.notice_id, 1_800_000_000, notice.body)
    said = verify(notice.body, headers, made["secret"], now_s=1_800_000_000)
    assert said["data"]["status_change"]["to"] == "requested"
