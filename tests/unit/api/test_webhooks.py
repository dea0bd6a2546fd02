"""`/user/webhook`."""

from collections.abc import AsyncIterator

import pytest
from tests.unit.api.test_rest import Api, open_api, problem

from usher.api.keys import digest
from usher.protocol.webhooks import is_secret, new_secret


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made


async def test_a_webhook_is_set_shown_and_taken_away(api: Api) -> None:
    headers = {"X-API-Key": api.key}
    assert (await api.http.get("/user/webhook", headers=headers)).json()["webhook_url"] is None
    made = await api.http.put("/user/webhook", json={"webhook_url": "https://example.com/usher"}, headers=headers)
    assert made.status_code == 200
    assert is_secret(made.json()["webhook_secret"])
    shown = (await api.http.get("/user/webhook", headers=headers)).json()
    assert shown == {"webhook_url": "https://example.com/usher", "webhook_secret": None}
    own = {"webhook_url": "https://example.com/usher", "webhook_secret": new_secret()}
    assert (await api.http.put("/user/webhook", json=own, headers=headers)).json() == own
    gone = await api.http.put("/user/webhook", json={"webhook_url": None}, headers=headers)
    assert gone.json() == {"webhook_url": None, "webhook_secret": None}
    assert (await api.http.get("/user/webhook", headers=headers)).json()["webhook_url"] is None


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://",
        "nonsense",
        "https://ann:secret@example.com/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://redis/",
        "https://[::1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://169.254.169.254/latest",
        "https://localhost/",
        "https://metadata.google.internal/",
        "https://example.com:99999/",
        "https://example.com:25/",
        "https://example.com/\r\nX-Evil: 1",
        "https://[::1",
    ],
)
async def test_what_can_never_be_sent_to_is_refused(api: Api, url: str) -> None:
    answer = await api.http.put("/user/webhook", json={"webhook_url": url}, headers={"X-API-Key": api.key})
    assert problem(answer, 422)["code"] == "bad_webhook_url"


async def test_a_refusal_says_what_to_change(api: Api) -> None:
    body = {"webhook_url": "https://example.com:25/"}
    found = problem(await api.http.put("/user/webhook", json=body, headers=api.mine), 422)
    assert "port has to be 443" in found["detail"]
    assert "https://example.com/usher" in found["detail"]
    kept = await api.http.get("/user/webhook", headers=api.mine)
    assert kept.json() == {"webhook_url": None, "webhook_secret": None}


async def test_every_new_webhook_gets_a_new_secret(api: Api) -> None:
    body = {"webhook_url": "https://example.com/usher"}
    made = [(await api.http.put("/user/webhook", json=body, headers=api.mine)).json() for _ in range(2)]
    assert made[0]["webhook_secret"] != made[1]["webhook_secret"]


async def test_a_webhook_is_ones_own(api: Api) -> None:
    other = await api.world.store.create_user("bob@example.com", name=None, max_concurrent_bots=1)
    await api.world.store.add_token(other.user_id, digest("bobs-key"))
    await api.http.put("/user/webhook", json={"webhook_url": "https://example.com/usher"}, headers=api.mine)
    bobs = await api.http.get("/user/webhook", headers={"X-API-Key": "bobs-key"})
    assert bobs.json()["webhook_url"] is None


async def test_a_body_without_a_url_is_no_way_to_take_a_webhook_away(api: Api) -> None:
    await api.http.put("/user/webhook", json={"webhook_url": "https://example.com/usher"}, headers=api.mine)
    assert problem(await api.http.put("/user/webhook", json={}, headers=api.mine), 422)["code"] == "invalid_request"
    kept = await api.http.get("/user/webhook", headers=api.mine)
    assert kept.json()["webhook_url"] == "https://example.com/usher"


async def test_a_secret_that_is_none_is_refused(api: Api) -> None:
    body = {"webhook_url": "https://example.com/", "webhook_secret": "hunter2"}
    answer = await api.http.put("/user/webhook", json=body, headers={"X-API-Key": api.key})
    assert problem(answer, 422)["code"] == "bad_webhook_secret"


async def test_a_webhook_needs_a_key(api: Api) -> None:
    assert problem(await api.http.get("/user/webhook"), 401)["code"] == "missing_api_key"
