"""`/user/webhook`."""

from collections.abc import AsyncIterator

import pytest
from tests.unit.api.test_rest import Api, open_api, problem

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
        "https://[::1]/",
        "https://169.254.169.254/latest",
        "https://localhost/",
        "https://metadata.google.internal/",
        "https://example.com:99999/",
        "https://[::1",
    ],
)
async def test_what_can_never_be_sent_to_is_refused(api: Api, url: str) -> None:
    answer = await api.http.put("/user/webhook", json={"webhook_url": url}, headers={"X-API-Key": api.key})
    assert problem(answer, 422)["code"] == "bad_webhook_url"


async def test_a_secret_that_is_none_is_refused(api: Api) -> None:
    body = {"webhook_url": "https://example.com/", "webhook_secret": "hunter2"}
    answer = await api.http.put("/user/webhook", json=body, headers={"X-API-Key": api.key})
    assert problem(answer, 422)["code"] == "bad_webhook_secret"


async def test_a_webhook_needs_a_key(api: Api) -> None:
    assert problem(await api.http.get("/user/webhook"), 401)["code"] == "missing_api_key"
