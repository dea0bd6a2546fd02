"""API keys: what they open, how long, and what is known of their use."""

import asyncio
from collections.abc import AsyncIterator, Collection

import httpx
import pytest
from tests.unit.api.test_rest import ADMIN_TOKEN, Api, open_api, problem

from usher.adapters.memory.store import MemoryStore
from usher.api.app import openapi_document
from usher.api.keys import KeyCache, digest
from usher.domain.errors import NotAllowed
from usher.domain.scopes import Scope
from usher.ports import HeldKey, NewToken

ADMIN = {"X-Admin-API-Key": ADMIN_TOKEN}
OPERATIONS = [
    (method, path, operation["security"][0]["ApiKey"])
    for path, methods in openapi_document()["paths"].items()
    for method, operation in methods.items()
    if any("ApiKey" in scheme for scheme in operation["security"])
]


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made


async def make(api: Api, body: object = None) -> httpx.Response:
    return await api.http.post("/admin/users/1/tokens", json=body, headers=ADMIN)


async def list_meetings(api: Api, key: str) -> httpx.Response:
    return await api.http.get("/meetings", headers={"X-API-Key": key})


def test_the_walk_below_sees_the_whole_api() -> None:
    assert len(OPERATIONS) > 20
    assert {scope for *_, scopes in OPERATIONS for scope in scopes} == set(Scope)


@pytest.mark.parametrize("scope", list(Scope))
async def test_a_key_opens_what_its_scope_says_and_nothing_else(api: Api, scope: Scope) -> None:
    await api.world.store.add_token(1, digest("narrow"), NewToken(scopes=frozenset({scope})))
    for method, path, scopes in OPERATIONS:
        answer = await api.http.request(method, path.format_map(_Any()), headers={"X-API-Key": "narrow"})
        if scope in scopes:
            assert answer.status_code not in {401, 403}, (method, path)
        else:
            found = problem(answer, 403)
            assert found["code"] == "missing_scope"
            assert str(scope) in found["detail"]
            assert (scopes[0] if scopes else "without scopes") in found["detail"]


class _Any(dict[str, str]):
    """Something for every name in a path."""

    def __missing__(self, name: str) -> str:
        return {"platform": "room", "native_meeting_id": "nobody"}.get(name, "99")


async def test_a_key_without_scopes_opens_everything(api: Api) -> None:
    for method, path, _ in OPERATIONS:
        answer = await api.http.request(method, path.format_map(_Any()), headers=api.mine)
        assert answer.status_code not in {401, 403}, (method, path)


async def test_a_key_is_shown_once_and_listed_by_its_ending(api: Api) -> None:
    made = await make(api, {"name": "Note taker", "scopes": ["transcripts:read", "bots"], "expires_in_s": 60})
    assert made.status_code == 201
    key = made.json().pop("token")
    assert (await list_meetings(api, key)).status_code == 200
    listed = await api.http.get("/admin/users/1/tokens", headers=ADMIN)
    assert key not in listed.text
    newest, oldest = listed.json()["tokens"]
    assert newest == {name: value for name, value in made.json().items() if name != "token"}
    assert (newest["name"], newest["scopes"]) == ("Note taker", ["bots", "transcripts:read"])
    assert newest["ending"] == key[-4:]
    assert (oldest["ending"], oldest["scopes"], oldest["expires_at"]) == ("", None, None)


async def test_a_key_that_is_made_without_a_word_does_everything(api: Api) -> None:
    made = (await make(api)).json()
    assert (made["scopes"], made["expires_at"], made["name"]) == (None, None, None)
    assert (await list_meetings(api, made["token"])).status_code == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"scopes": ["everything"]}, "transcripts:read"),
        ({"scopes": []}, "scopes"),
        ({"expires_in_s": 0}, "expires_in_s"),
        ({"name": "x" * 101}, "name"),
        ({"scope": "bots"}, "scope"),
    ],
)
async def test_a_wrong_wish_for_a_key(api: Api, body: object, says: str) -> None:
    assert says in problem(await make(api, body), 422)["detail"]


async def test_keys_of_nobody(api: Api) -> None:
    for method in ("GET", "POST"):
        answer = await api.http.request(method, "/admin/users/999/tokens", headers=ADMIN)
        assert problem(answer, 404)["code"] == "unknown_user"


async def test_an_expired_key_says_so(api: Api) -> None:
    key = (await make(api, {"expires_in_s": 60})).json()["token"]
    api.world.clock.advance(61.0)
    assert problem(await list_meetings(api, key), 401)["code"] == "key_expired"


async def test_a_revoked_key_is_refused_at_once_here(api: Api) -> None:
    made = (await make(api)).json()
    assert (await list_meetings(api, made["token"])).status_code == 200
    gone = await api.http.delete(f"/admin/tokens/{made['id']}", headers=ADMIN)
    assert gone.status_code == 204
    assert problem(await list_meetings(api, made["token"]), 401)["code"] == "invalid_api_key"


class _Counting(MemoryStore):
    """A store that counts what a cache of keys asks of it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    async def find_key(self, token_sha256: bytes) -> HeldKey | None:
        self.asked.append("find_key")
        return await super().find_key(token_sha256)

    async def mark_used(self, token_ids: Collection[int]) -> None:
        self.asked.append("mark_used")
        await super().mark_used(token_ids)


async def test_use_is_noted_for_all_keys_at_once_and_never_with_a_request() -> None:
    store = _Counting()
    user = await store.create_user("ann@example.com", name=None, max_concurrent_bots=1)
    for key in ("key", "other"):
        await store.add_token(user.user_id, digest(key))
    keys = KeyCache(store, ttl_s=60.0)
    for _ in range(3):
        await keys.user_of("key")
        await keys.user_of("other")
    assert store.asked == ["find_key", "find_key"]
    await keys.mark_used()
    await keys.mark_used()
    assert store.asked[2:] == ["mark_used"]
    assert all(token.last_used_at is not None for token in await store.tokens_of(user.user_id))


async def test_a_key_is_not_trusted_for_longer_than_it_is_good(api: Api) -> None:
    await api.world.store.add_token(1, digest("short"), NewToken(good_s=0.05))
    keys = KeyCache(api.world.store, ttl_s=600.0)
    assert (await keys.user_of("short")).user_id == 1
    api.world.clock.advance(1.0)
    await asyncio.sleep(0.1)
    with pytest.raises(NotAllowed) as caught:
        await keys.user_of("short")
    assert caught.value.code == "key_expired"
