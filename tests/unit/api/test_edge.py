"""What every answer carries, and which web pages may ask."""

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.unit.api.test_rest import Api, open_api, problem

from usher.api import rates
from usher.api.app import create_app

PAGE = "https://app.example.com"
ASKS = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made


@pytest.mark.parametrize("path", ["/health", "/meetings", "/meetings/99", "/no/such/route", "/openapi.json"])
async def test_answers_are_neither_cached_nor_framed_nor_guessed_at(api: Api, path: str) -> None:
    answer = await api.http.get(path, headers=api.mine)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_no_other_web_page_may_ask_by_default(api: Api) -> None:
    asked = await api.http.options("/bots", headers=ASKS)
    got = await api.http.get("/meetings", headers={**api.mine, "Origin": PAGE})
    for answer in (asked, got):
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_web_pages_of_the_setting_may_ask_and_no_others(api: Api) -> None:
    transport = httpx.ASGITransport(create_app(api.context, cors_origins=[PAGE]))
    async with httpx.AsyncClient(transport=transport, base_url="http://usher.test") as http:
        good = await http.options("/bots", headers=ASKS)
        bad = await http.options("/bots", headers=ASKS | {"Origin": "https://evil.example.com"})
        got = await http.get("/meetings", headers={**api.mine, "Origin": PAGE})
    assert (good.status_code, good.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "access-control-allow-credentials" not in good.headers
    assert (bad.status_code, "access-control-allow-origin" in bad.headers) == (400, False)
    assert got.headers["access-control-allow-origin"] == PAGE
    readable = got.headers["access-control-expose-headers"].lower()
    assert {name.decode() for name, _ in rates.headers(rates.Standing(1, 1, 1))} <= set(readable.split(", "))


async def test_a_bug_tells_nothing_of_itself(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(*_: object) -> None:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(api.world.store, "find", breaks)
    answer = await api.http.get("/meetings/1", headers=api.mine)
    assert problem(answer, 500)["code"] == "bug"
    assert "swordfish" not in answer.text
    assert "Traceback" not in answer.text
