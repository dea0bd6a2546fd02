"""The page on webhooks is true: its receiver takes what is sent and nothing else, and its example is one."""

import asyncio
import json
import re
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from usher.adapters.webhooks import HttpWebhookSender
from usher.ports import Delivered, Notice, Undelivered, Webhook
from usher.protocol.webhooks import API_VERSION, NoticeBody, NoticeMeeting, StatusChange, new_secret, sign

PAGE = (Path(__file__).parents[3] / "docs" / "how-to" / "receive-webhooks.md").read_text()
NOTICE = Notice("msg_7_3", b'{"data":{"status_change":{"from":"active","to":"completed"}}}')
PATIENCE_S = 60.0


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(text)


@asynccontextmanager
async def receiver(secret: str) -> AsyncIterator[tuple[str, Process]]:
    """Run the page's receiver, and yield its URL and process."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {"WEBHOOK_SECRET": secret, "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", block("python"), env=environment, stdout=PIPE, stderr=PIPE
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await _listens(port):
                assert process.returncode is None, "the receiver has ended"
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}/", process
    finally:
        process.kill()
        await process.communicate()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_the_receiver_takes_what_is_sent() -> None:
    secret, sender = new_secret(), HttpWebhookSender(allow_private=True)
    async with receiver(secret) as (url, process), asyncio.timeout(PATIENCE_S):
        assert await sender.send(Webhook(url, secret), NOTICE) == Delivered()
        assert process.stdout is not None
        assert await process.stdout.readline() == b"msg_7_3 active -> completed\n"
        assert await sender.send(Webhook(url, new_secret()), NOTICE) == Undelivered("HTTP 401", lasting=True)
    await sender.aclose()


@pytest.mark.parametrize("forgery", ["body", "webhook-id", "webhook-timestamp", "old"])
async def test_the_receiver_takes_nothing_else(forgery: str) -> None:
    secret, now_s = new_secret(), int(time.time())
    headers = sign(secret, NOTICE.notice_id, now_s - (3600 if forgery == "old" else 0), NOTICE.body)
    body = NOTICE.body.replace(b"completed", b"failed") if forgery == "body" else NOTICE.body
    headers |= {"webhook-id": "msg_8_3"} if forgery == "webhook-id" else {}
    headers |= {"webhook-timestamp": str(now_s - 1)} if forgery == "webhook-timestamp" else {}
    async with receiver(secret) as (url, _), httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as http:
        assert (await http.post(url, content=body, headers=headers)).status_code == 401


def test_the_receiver_needs_nothing_but_python() -> None:
    imported = re.findall(r"^(?:import|from) (.*)$", block("python"), re.MULTILINE)
    names = {name.split(".")[0].strip() for line in imported for name in line.split(",")}
    assert names <= sys.stdlib_module_names


def test_the_example_is_one() -> None:
    example = json.loads(block("json"))
    assert example.keys() == NoticeBody.model_fields.keys()
    assert example["api_version"] == API_VERSION
    meeting, change = example["data"]["meeting"], example["data"]["status_change"]
    assert meeting.keys() <= NoticeMeeting.model_fields.keys()
    wire = {field.serialization_alias or name for name, field in StatusChange.model_fields.items()}
    assert change.keys() == wire
    assert example["event_id"] == f"msg_{meeting['id']}_{change['version']}"
    StatusChange.model_validate(change | {"from_state": change["from"], "to_state": change["to"]})
