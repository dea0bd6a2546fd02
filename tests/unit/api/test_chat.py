"""Chat and names over the REST API and `/ws`: users on one side, their bots on the other."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.unit.api.test_rest import Api, open_api, problem

from usher.api.app import create_app
from usher.api.keys import digest
from usher.protocol.chat import MOST_CHARACTERS, MOST_LINES_AT_ONCE
from usher.protocol.commands import MOST_CHAT_CHARACTERS

BOT = "/bots/room/weekly-sync"


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with open_api() as made:
        yield made


async def inside(api: Api) -> tuple[str, dict[str, str]]:
    """Return where the bot that is in the meeting calls, and its headers."""
    meeting = await api.world.active()
    bot = await api.world.bot_of(meeting.meeting_id)
    return f"/internal/bots/{bot.connection_id}", {"Authorization": f"Bearer {api.world.credentials.token(bot)}"}


def line(line_id: str, text: str = "hello", sender: str = "Ann", **more: object) -> dict[str, Any]:
    return {"line_id": line_id, "sender": sender, "text": text, "ago_s": 0.0, **more}


async def test_a_message_is_accepted_executed_and_told_of(api: Api) -> None:
    base, headers = await inside(api)
    answer = await api.http.post(f"{BOT}/chat", json={"text": "This is transcribed."}, headers=api.mine)
    assert (answer.status_code, answer.json()["seq"]) == (202, 1)
    state = await api.http.get(f"{BOT}/commands/1", headers=api.mine)
    assert state.json() == {"seq": 1, "action": "chat", "state": "pending", "detail": ""}
    commands = await api.http.get(f"{base}/commands", headers=headers)
    assert commands.json() == {"commands": [{"seq": 1, "action": "chat", "text": "This is transcribed."}]}
    refusal = {"outcome": "refused", "detail": "the host has closed the chat"}
    assert (await api.http.post(f"{base}/commands/1", json=refusal, headers=headers)).status_code == 204
    state = await api.http.get(f"{BOT}/commands/1", headers=api.mine)
    assert state.json() | {"state": "refused", "detail": "the host has closed the chat"} == state.json()


async def test_another_name_is_a_command_too(api: Api) -> None:
    base, headers = await inside(api)
    answer = await api.http.put(f"{BOT}/name", json={"bot_name": "Note taker"}, headers=api.mine)
    assert (answer.status_code, answer.json()["seq"]) == (202, 1)
    commands = await api.http.get(f"{base}/commands", headers=headers)
    assert commands.json() == {"commands": [{"seq": 1, "action": "rename", "name": "Note taker"}]}
    await api.http.post(f"{base}/commands/1", json={"outcome": "applied"}, headers=headers)
    assert (await api.http.get(f"{BOT}/commands/1", headers=api.mine)).json()["state"] == "applied"


async def test_outside_the_meeting_there_is_nobody_to_tell(api: Api) -> None:
    await api.send()
    for method, path, body in (("POST", "chat", {"text": "hello"}), ("PUT", "name", {"bot_name": "A"})):
        answer = await api.http.request(method, f"{BOT}/{path}", json=body, headers=api.mine)
        found = problem(answer, 409)
        assert found["code"] == "not_in_meeting"
        assert "requested" in found["detail"]
    assert (await api.http.get(f"{BOT}/chat", headers=api.mine)).json()["messages"] == []


@pytest.mark.parametrize("text", ["", "x" * (MOST_CHAT_CHARACTERS + 1), None, 1])
async def test_what_is_no_message_is_refused(api: Api, text: object) -> None:
    await inside(api)
    answer = await api.http.post(f"{BOT}/chat", json={"text": text}, headers=api.mine)
    assert problem(answer, 422)["code"] == "invalid_request"


async def test_others_have_no_part_in_it(api: Api) -> None:
    base, headers = await inside(api)
    await api.http.post(f"{base}/chat", json={"lines": [line("1")]}, headers=headers)
    await api.http.post(f"{BOT}/chat", json={"text": "hello"}, headers=api.mine)
    other = await api.world.store.create_user("eve@example.com", name=None, max_concurrent_bots=1)
    await api.world.store.add_token(other.user_id, digest("eve"))
    eve = {"X-API-Key": "eve"}
    for method, path in (("GET", "chat"), ("GET", "commands/1"), ("POST", "chat"), ("PUT", "name")):
        body = {"POST": {"text": "x"}, "PUT": {"bot_name": "x"}}.get(method)
        answer = await api.http.request(method, f"{BOT}/{path}", json=body, headers=eve)
        assert problem(answer, 404)["code"] == "unknown_meeting"
    assert problem(await api.http.get(f"{BOT}/commands/9", headers=api.mine), 404)["code"] == "unknown_command"


async def test_lines_that_a_bot_reads_are_listed_once(api: Api) -> None:
    base, headers = await inside(api)
    first = {"lines": [line("1", "hello"), line("2", "hi", "Usher", is_self=True, ago_s=60.0)]}
    for body in (first, first, {"lines": [line("3", "bye", "")]}):
        assert (await api.http.post(f"{base}/chat", json=body, headers=headers)).status_code == 204
    messages = (await api.http.get(f"{BOT}/chat", headers=api.mine)).json()["messages"]
    assert [(m["message_id"], m["sender"], m["text"], m["is_self"]) for m in messages] == [
        ("1:1", "Ann", "hello", False),
        ("1:2", "Usher", "hi", True),
        ("1:3", "", "bye", False),
    ]
    assert messages[1]["at"] < messages[0]["at"]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [line("1")] * (MOST_LINES_AT_ONCE + 1),
        [line("")],
        [line("1", "x" * (MOST_CHARACTERS + 1))],
        [line("1", ago_s=-1)],
        [line("1", ago_s="NaN")],
    ],
)
async def test_bad_lines_are_refused(api: Api, lines: list[dict[str, Any]]) -> None:
    base, headers = await inside(api)
    problem(await api.http.post(f"{base}/chat", json={"lines": lines}, headers=headers), 422)


async def test_a_bot_whose_attempt_is_over_tells_nothing_more(api: Api) -> None:
    base, headers = await inside(api)
    await api.http.post(f"{base}/exited", json={"seq": 2, "exit_code": 0, "reason": "meeting_ended"}, headers=headers)
    answer = await api.http.post(f"{base}/chat", json={"lines": [line("1")]}, headers=headers)
    assert problem(answer, 410)["code"] == "attempt_over"
    wrong = {"Authorization": "Bearer wrong"}
    assert problem(await api.http.post(f"{base}/chat", json={"lines": [line("1")]}, headers=wrong), 401)


async def test_viewers_are_told_what_was_written_and_then_what_is(api: Api) -> None:
    base, headers = await inside(api)
    await api.http.post(f"{base}/chat", json={"lines": [line("1", "before")]}, headers=headers)
    client = TestClient(create_app(api.context))
    with client.websocket_connect("/ws", headers=api.mine) as socket:
        name = {"platform": "room", "native_id": "weekly-sync"}
        socket.send_json({"action": "subscribe", "meetings": [name]})
        told = [socket.receive_json() for _ in range(3)]
        assert [one["type"] for one in told] == ["subscribed", "meeting.status", "chat.received"]
        assert [one["text"] for one in told[2]["payload"]["messages"]] == ["before"]
        client.post(f"{base}/chat", json={"lines": [line("1", "before"), line("2", "after")]}, headers=headers)
        frame = socket.receive_json()
    assert frame["type"] == "chat.received"
    (message,) = frame["payload"]["messages"]
    assert (message["message_id"], message["text"]) == ("1:2", "after")
