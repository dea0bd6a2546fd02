"""The whole system as users run it: the demo, Ctrl-C at any moment, and failures that say what to do."""

import asyncio
import json
import socket
from pathlib import Path

import httpx
import pytest
from tests.support.eventually import eventually
from tests.support.whole_system import Command, usher

START_S = 120.0
STOP_S = 60.0


@pytest.mark.timeout(400)
async def test_the_demo_succeeds(speech_model: Path, tmp_path: Path) -> None:
    async with usher("demo", data_dir=tmp_path, variables={"USHER_TRANSCRIPTION__MODEL": str(speech_model)}) as demo:
        code = await demo.ended(timeout_s=300)
        assert code == 0, demo.output
        assert "The demo succeeded" in demo.output
        assert "segments under a wrong name: 0" in demo.output
        await _nothing_is_left(demo)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "moment",
    [
        "starting database and Redis",
        "starting speech service",
        "starting manager",
        "asks to join and is admitted",
        "meeting is starting",
        "the conversation begins",
    ],
)
async def test_ctrl_c_during_the_demo_leaves_no_process_behind(moment: str, speech_model: Path, tmp_path: Path) -> None:
    async with usher("demo", data_dir=tmp_path, variables={"USHER_TRANSCRIPTION__MODEL": str(speech_model)}) as demo:
        await demo.has_printed(moment, timeout_s=START_S)
        demo.press_ctrl_c()
        assert await demo.ended(timeout_s=STOP_S) != 0
        await _nothing_is_left(demo)


@pytest.mark.timeout(300)
async def test_up_serves_until_ctrl_c_and_leaves_no_process_behind(speech_model: Path, tmp_path: Path) -> None:
    variables = {"USHER_TRANSCRIPTION__MODEL": str(speech_model), "USHER_API__PORT": "0"}
    async with usher("up", data_dir=tmp_path, variables=variables) as up:
        await up.has_printed("Ctrl-C stops everything", timeout_s=START_S)
        where = json.loads((tmp_path / "client.json").read_text())
        async with httpx.AsyncClient(base_url=where["url"], headers={"X-API-Key": where["api_key"]}) as http:
            sent = await http.post("/bots", json={"meeting_url": f"{where['url']}/room/first"})
            assert sent.status_code == 201, sent.text
            await _reaches(http, sent.json()["id"], "active")
            async with usher("lifecycle", "room/first", data_dir=tmp_path, owns=False) as lifecycle:
                assert await lifecycle.ended(timeout_s=START_S) == 0
                assert "awaiting_admission" in lifecycle.output or "active" in lifecycle.output
            async with usher("leave", "room/first", data_dir=tmp_path, owns=False) as leave:
                assert await leave.ended(timeout_s=START_S) == 0
            await _reaches(http, sent.json()["id"], "completed")
            again = await http.post("/bots", json={"meeting_url": f"{where['url']}/room/second"})
            assert again.status_code == 201, again.text
        up.press_ctrl_c()
        assert await up.ended(timeout_s=STOP_S) == 0, up.output
        await _nothing_is_left(up)


async def test_a_taken_port_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with usher("up", data_dir=tmp_path, variables={"USHER_API__PORT": port}) as up:
            assert await up.ended(timeout_s=START_S) == 1
            assert port in up.output
            assert "USHER_API__PORT" in up.output
            await _nothing_is_left(up)


@pytest.mark.parametrize(
    ("variable", "says"),
    [("USHER_BOTS__CHROMIUM", "USHER_BOTS__CHROMIUM"), ("USHER_TRANSCRIPTION__MODEL", "USHER_TRANSCRIPTION__MODEL")],
)
async def test_a_missing_part_is_told_and_nothing_is_left(variable: str, says: str, tmp_path: Path) -> None:
    async with usher("up", data_dir=tmp_path, variables={variable: "/no/such/thing", "USHER_API__PORT": "0"}) as up:
        assert await up.ended(timeout_s=START_S) == 1
        assert says in up.output
        assert "Traceback" not in up.output
        await _nothing_is_left(up)


async def test_without_a_running_usher_the_client_commands_say_so(tmp_path: Path) -> None:
    async with usher("join", "https://example.com/x", data_dir=tmp_path) as join:
        assert await join.ended(timeout_s=START_S) == 1
        assert "usher up" in join.output


async def _reaches(http: httpx.AsyncClient, meeting_id: int, status: str) -> None:
    """Wait until the meeting is in that state."""
    async with asyncio.timeout(START_S):
        while True:
            seen = (await http.get(f"/meetings/{meeting_id}")).json()
            if seen["status"] == status:
                return
            assert seen["status"] != "failed", seen
            await asyncio.sleep(0.1)


async def _nothing_is_left(command: Command) -> None:
    await eventually(lambda: not command.leftovers(), timeout_s=15)
