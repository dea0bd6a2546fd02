"""Tickets in the place of keys, where a URL is all there is."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect
from tests.unit.api.test_live_resume import active, subscribe, told
from tests.unit.api.test_rest import Api, open_api, problem
from tests.unit.api.test_stream import serving

from usher.api.app import create_app
from usher.api.keys import digest
from usher.ports import MOST_TICKETS


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made


async def ticket(api: Api) -> str:
    answer = await api.http.post("/ws/tickets", headers=api.mine)
    assert answer.status_code == 201
    assert set(answer.json()) == {"ticket", "expires_at"}
    made: str = answer.json()["ticket"]
    return made


def refused(api: Api, query: str) -> tuple[str, int]:
    with TestClient(create_app(api.context)).websocket_connect(f"/ws{query}") as socket:
        error = socket.receive_json()["error"]
        with pytest.raises(WebSocketDisconnect) as closed:
            socket.receive_json()
    return error, closed.value.code


async def test_a_ticket_opens_one_socket(api: Api) -> None:
    on = await active(api)
    made = await ticket(api)
    with TestClient(create_app(api.context)).websocket_connect(f"/ws?ticket={made}") as socket:
        subscribe(socket)
        assert told(socket, 2)[1]["meeting"]["id"] == on.meeting.meeting_id
    assert refused(api, f"?ticket={made}") == ("invalid_ticket", 4401)


async def test_a_ticket_opens_one_stream(api: Api) -> None:
    on = await active(api)
    address = f"/meetings/{on.meeting.meeting_id}/live?ticket={await ticket(api)}"
    async with serving(api) as served:
        async with served.stream(on.meeting.meeting_id, address[address.index("?") :], X_API_Key="nobody") as viewer:
            assert [frame["type"] for frame in await viewer.frames(1)] == ["meeting.status"]
        assert problem(await api.http.get(address, headers=api.mine), 401)["code"] == "invalid_ticket"


async def test_a_ticket_is_over_after_half_a_minute(api: Api) -> None:
    made = await ticket(api)
    api.world.clock.now += timedelta(seconds=31)
    assert refused(api, f"?ticket={made}") == ("invalid_ticket", 4401)


async def test_a_ticket_shows_nothing_of_others_and_is_no_key(api: Api) -> None:
    on = await active(api)
    eve = await api.world.store.create_user("eve@example.com", name=None, max_concurrent_bots=1)
    assert await api.world.store.add_ticket(eve.user_id, digest("hers"), good_s=30.0) is not None
    problem(await api.http.get(f"/meetings/{on.meeting.meeting_id}/live?ticket=hers"), 404)
    made = await ticket(api)
    problem(await api.http.get("/meetings", headers={"X-API-Key": made}), 401)
    problem(await api.http.get(f"/meetings?ticket={made}"), 401)
    assert refused(api, "?api_key=key") == ("missing_api_key", 4401)


async def test_only_a_key_makes_tickets_and_not_too_many(api: Api) -> None:
    problem(await api.http.post("/ws/tickets"), 401)
    for _ in range(MOST_TICKETS):
        await ticket(api)
    answer = await api.http.post("/ws/tickets", headers=api.mine)
    assert problem(answer, 429)["code"] == "too_many_tickets"
    assert int(answer.headers["retry-after"]) > 0
