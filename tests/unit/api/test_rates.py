"""Limits on how often a key may be used."""

from dataclasses import dataclass, replace

import httpx
from tests.unit.api.test_rest import open_api, problem

from usher.api.app import create_app
from usher.api.keys import digest
from usher.api.rates import Rates


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_empties_and_refills() -> None:
    clock = Clock()
    rates = Rates(per_s=2.0, burst=3, clock=clock)
    assert [rates.take(1).remaining for _ in range(5)] == [2, 1, 0, -1, -1]
    assert rates.take(2).remaining == 2
    clock.now += 0.5
    assert [rates.take(1).remaining for _ in range(2)] == [0, -1]
    clock.now += 1000.0
    standing = rates.take(1)
    assert (standing.limit, standing.remaining, standing.reset_s) == (3, 2, 1)


def test_the_number_of_buckets_is_bounded() -> None:
    rates = Rates(per_s=1.0, burst=2, clock=Clock())
    rates.take(0)
    for token_id in range(1, 10_001):
        rates.take(token_id)
    assert rates.take(10_000).remaining == 0
    assert rates.take(0).remaining == 1


async def test_answers_tell_how_a_key_stands_and_too_many_are_refused() -> None:
    clock = Clock()
    async with open_api() as api:
        await api.world.store.add_token(1, digest("other"))
        context = replace(api.context, rates=Rates(per_s=0.2, burst=2, clock=clock))
        transport = httpx.ASGITransport(create_app(context), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://usher.test") as http:
            first, second, third = [await http.get("/meetings", headers=api.mine) for _ in range(3)]
            names = ("ratelimit-limit", "ratelimit-remaining", "ratelimit-reset")
            assert [first.headers[name] for name in names] == ["2", "1", "5"]
            assert (first.status_code, second.status_code) == (200, 200)
            assert problem(third, 429)["code"] == "too_fast"
            assert third.headers["retry-after"] == "5"
            assert third.headers["ratelimit-remaining"] == "0"
            assert (await http.get("/meetings", headers={"X-API-Key": "other"})).status_code == 200
            unknown = await http.get("/meetings", headers={"X-API-Key": "wrong"})
            assert unknown.status_code == 401
            assert "ratelimit-limit" not in unknown.headers
            clock.now += 5.0
            assert (await http.get("/meetings", headers=api.mine)).status_code == 200
