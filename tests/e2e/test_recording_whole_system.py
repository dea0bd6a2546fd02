"""A meeting that is recorded by the whole system: from the request, by the bot, to the files that a user saves."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.bot_room import HummingRoom, open_people
from tests.support.bot_speech_server import speech_server
from tests.support.recordings import play
from tests.support.s3_server import BUCKET, KEY_ID, SECRET, S3Server, s3_server
from tests.support.whole_system import usher

from usher.adapters.embedded.chromium import find_chromium

pytestmark = pytest.mark.timeout(400)

_START_S = 120.0
_HUMS = {"Alice": 440, "Bob": 880}
_TONES = tuple(_HUMS.values())


@dataclass
class World:
    """A running Usher, and people in its room."""

    http: httpx.AsyncClient
    room: HummingRoom
    data_dir: Path
    s3: S3Server | None

    async def recorded(self) -> dict[str, Any]:
        """Let two people hum with a recording bot until everybody's file has some seconds; return the recording."""
        alice = await self.room.host("Alice", hum_hz=_HUMS["Alice"])
        await self.room.guest("Bob", alice, hum_hz=_HUMS["Bob"])
        sent = await self.http.post("/bots", json={"meeting_url": self.room.url, "recording_enabled": True})
        assert sent.status_code == 201, sent.text
        await alice.press("Admit Usher")
        async with asyncio.timeout(_START_S):
            while True:
                found = (await self.http.get(f"/meetings/{sent.json()['id']}/recordings")).json()["recordings"]
                files = found[0]["media_files"] if found else []
                if len(files) == 3 and all(file["duration_seconds"] > 12.0 for file in files):
                    return dict(found[0])
                await asyncio.sleep(0.2)

    async def media(self, recording: dict[str, Any], file: dict[str, Any], **headers: str) -> httpx.Response:
        """Download a file."""
        return await self.http.get(f"/recordings/{recording['id']}/media/{file['id']}/raw", headers=headers)

    async def stopped(self) -> None:
        """Stop the bot, and wait until its meeting is over."""
        await self.http.delete("/bots/room/loud")
        async with asyncio.timeout(_START_S):
            while True:
                if (await self.http.get("/meetings")).json()["meetings"][0]["status"] == "completed":
                    return
                await asyncio.sleep(0.2)


@pytest.fixture(params=["disk", "s3"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    chromium, data_dir = find_chromium().path, tmp_path / "usher"
    async with AsyncExitStack() as stack:
        s3 = await stack.enter_async_context(s3_server(tmp_path)) if request.param == "s3" else None
        speech = await stack.enter_async_context(speech_server())
        variables = {"USHER_TRANSCRIPTION__URL": speech.url, "USHER_API__PORT": "0", **_storage(s3)}
        up = await stack.enter_async_context(usher("up", data_dir=data_dir, variables=variables))
        await up.has_printed("Ctrl-C stops everything", timeout_s=_START_S)
        where = json.loads((data_dir / "client.json").read_text())
        headers = {"X-API-Key": where["api_key"]}
        http = httpx.AsyncClient(base_url=where["url"], headers=headers, timeout=30.0)
        people = await stack.enter_async_context(open_people(chromium))
        room = HummingRoom(people, f"{where['url']}/room/loud")
        yield World(await stack.enter_async_context(http), room, data_dir, s3)


async def test_a_user_saves_what_each_person_said_and_the_mix(world: World, tmp_path: Path) -> None:
    growing = await world.recorded()
    assert growing["status"] == "in_progress"
    for file in growing["media_files"]:
        assert play((await world.media(growing, file)).content).loud()[-1][1] > 11.0, "it is read while it grows"

    await world.stopped()
    recording = (await world.http.get(f"/recordings/{growing['id']}")).json()
    assert recording["status"] == "completed"
    pitches: dict[str | None, set[int]] = {name: {hz} for name, hz in _HUMS.items()}
    pitches[None] = set(_TONES)
    assert {file["speaker"] for file in recording["media_files"]} == set(pitches)
    for file in recording["media_files"]:
        whole = (await world.media(recording, file)).content
        played = play(whole)
        end = played.loud()[-1][1]
        assert played.pitches(end - 6.0, end - 1.0, _TONES) == pitches[file["speaker"]]
        assert end == pytest.approx(file["duration_seconds"], abs=0.15)
        part = await world.media(recording, file, Range="bytes=1000-50000")
        assert (part.status_code, part.content) == (206, whole[1000:50001])

    saved = tmp_path / "saved"
    async with usher("recordings", "room/loud", "--save", str(saved), data_dir=world.data_dir, owns=False) as command:
        assert await command.ended(timeout_s=_START_S) == 0, command.output
    assert len(list(saved.glob("*.webm"))) == 3

    assert (await world.http.delete(f"/recordings/{recording['id']}")).status_code == 204
    kept = world.s3.objects() if world.s3 else set((world.data_dir / "recordings").rglob("0*-*"))
    assert not kept


def _storage(s3: S3Server | None) -> dict[str, str]:
    if s3 is None:
        return {}
    settings = {"BUCKET": BUCKET, "ENDPOINT": s3.url, "ACCESS_KEY_ID": KEY_ID, "SECRET_ACCESS_KEY": SECRET}
    return {"USHER_RECORDINGS__KIND": "s3", **{f"USHER_RECORDINGS__S3__{name}": v for name, v in settings.items()}}
