"""A word that was said in every place: after the deletion it is in no table, in no stream, on no disk, in no answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from redis.asyncio import Redis
from tests.failure_modes.real_manager import CREDENTIALS, POLICY, Manager, manager_with_redis
from tests.support.world import wish

from usher.adapters.memory.webhooks import MemoryWebhookSender
from usher.adapters.recordings.disk import DiskRecordingStore
from usher.adapters.redis.stream import DEAD_STREAM
from usher.api.app import create_app
from usher.api.context import Context
from usher.api.keys import KeyCache, digest
from usher.app.collector import Collector
from usher.app.recordings import RecordingDesk
from usher.app.webhooks import WebhookDesk
from usher.domain.lifecycle import Reason
from usher.domain.meeting import Homes
from usher.ports import Meeting, Webhook
from usher.protocol.chat import SeenLine
from usher.protocol.credentials import BotIdentity
from usher.protocol.evidence import Evidence
from usher.protocol.recordings import MIXED, FileDescription
from usher.protocol.reports import Exited
from usher.protocol.segments import STREAM, SegmentEntry, SpokenSegment, sign

WORD = "xylophone"
CALL = f"{WORD}-call"
KEY = {"X-API-Key": "key"}
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
PLACES = {
    *("transcriptions", "chat_messages", "commands", "meeting_evidence", "meetings", "meeting_events"),
    *("recording_files",),
}


@dataclass(frozen=True)
class House:
    """A manager with its stores, its API, and ways to look into all of them."""

    manager: Manager
    redis: Redis
    dsn: str
    directory: Path
    context: Context
    http: httpx.AsyncClient

    async def call(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own options
        return await self.http.request(method, path, headers=KEY, **more)

    async def tables(self) -> set[str]:
        """Return the tables that hold the word anywhere in a row, as text or as bytes."""
        connection = await asyncpg.connect(self.dsn)
        try:
            names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            found = set()
            for (name,) in names:
                query = f"SELECT count(*) FROM {name} AS t WHERE t::text ILIKE '%' || $1 || '%' OR t::text LIKE $2"  # noqa: S608 - names of our own tables
                if await connection.fetchval(query, WORD, f"%{WORD.encode().hex()}%"):
                    found.add(name)
        finally:
            await connection.close()
        return found

    async def keys(self) -> set[str]:
        """Return the keys of Redis that hold the word."""
        found = set()
        for key in await self.redis.keys("*"):
            assert await self.redis.type(key) == b"stream", key
            if WORD.encode() in repr(await self.redis.xrange(key)).encode():
                found.add(str(key, "ascii") if isinstance(key, bytes) else key)
        return found

    def files(self) -> list[Path]:
        """Return the files that hold the word."""
        return [path for path in self.directory.rglob("*") if path.is_file() and WORD.encode() in path.read_bytes()]

    async def append(self, meeting: Meeting, text: str, *, token: str | None = None) -> None:
        """Be the bot, which says something on the stream."""
        fields = sign(said(meeting, text), meeting.connection_id, token or CREDENTIALS.token(bot_of(meeting)))
        await self.redis.xadd(STREAM, {name: value.encode() for name, value in fields.items()})

    async def collect(self) -> None:
        while await self.manager.stream.backlog():
            await self.manager.collector.collect()


@pytest.fixture
async def house(database_dsn: str, redis_url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with manager_with_redis(database_dsn, redis_url) as (manager, client):
        context = Context(
            store=manager.store,
            bots=manager.bots,
            reports=manager.reports,
            recordings=RecordingDesk(manager.store, DiskRecordingStore(tmp_path)),
            webhooks=WebhookDesk(manager.store, MemoryWebhookSender()),
            feed=manager.feed,
            stream=manager.stream,
            keys=KeyCache(manager.store, ttl_s=5),
            homes=Homes("http://usher.test/room"),
        )
        transport = httpx.ASGITransport(create_app(context), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://usher.test") as http:
            yield House(manager, client, database_dsn, tmp_path, context, http)


def bot_of(meeting: Meeting) -> BotIdentity:
    return BotIdentity(meeting.meeting_id, meeting.connection_id)


def said(meeting: Meeting, text: str = WORD) -> SegmentEntry:
    segment = SpokenSegment(
        segment_id=f"s:{text}", revision=1, start_s=0, end_s=1, text=f"{text} {WORD}", speaker=WORD, completed=True
    )
    return SegmentEntry(meeting_id=meeting.meeting_id, session_uid="s", session_start=NOW, segments=[segment])


async def told_everywhere(house: House) -> Meeting:
    """Return a meeting that is over, in which the word stands wherever a meeting's words can."""
    manager, store = house.manager, house.manager.store
    user = await store.create_user("ann@example.com", name=None, max_concurrent_bots=3)
    await store.add_token(user.user_id, digest("key"))
    await store.put_webhook(user.user_id, Webhook("https://example.com/hook", "whsec_c2VjcmV0"))
    meeting = (await manager.bots.request(user.user_id, wish(CALL))).meeting
    await manager.settle()
    meeting = await manager.meeting(meeting.meeting_id)
    bot = bot_of(meeting)
    await manager.reports.started(bot)
    await house.append(meeting, "in time")
    await house.append(meeting, "forged", token="somebody else's")
    await house.collect()
    await manager.collector.store([said(meeting, "last words")])
    await store.save_chat(meeting.connection_id, [SeenLine(line_id="1", sender=WORD, text=WORD, ago_s=0)])
    await manager.bots.say(user.user_id, meeting.ref.platform, CALL, WORD)
    await manager.bots.rename(user.user_id, meeting.ref.platform, CALL, WORD)
    picture = b"\xff\xd8\xff" + WORD.encode()
    await manager.reports.show(bot, Evidence(step=WORD, title=WORD, address=WORD, tree=WORD, screenshot=picture))
    await house.context.recordings.describe(bot, MIXED, FileDescription(started_at=NOW, speaker=WORD))
    await house.context.recordings.take(bot, MIXED, 0, 5000, WORD.encode())
    data = {"name": WORD, "participants": [WORD], "notes": WORD}
    assert (await house.call("PATCH", f"/meetings/room/{CALL}", json={"data": data})).status_code == 200
    await store.put_data(meeting.meeting_id, {"bot_log_1": WORD})
    await manager.reports.exited(bot, Exited(seq=9, exit_code=0, reason=Reason.MEETING_ENDED, detail=WORD))
    await manager.settle()
    await asyncio.sleep(POLICY.kill_grace_s)
    await manager.settle()
    return await manager.meeting(meeting.meeting_id)


async def answers(house: House, meeting: Meeting, shared: str) -> list[str]:
    """Return every answer that may have to do with the meeting."""
    by_id = f"/meetings/{meeting.meeting_id}"
    paths = [
        *("/meetings", "/recordings", "/bots/status", "/meetings?platform=room&native_meeting_id=" + CALL),
        *(by_id, f"{by_id}/events", f"{by_id}/evidence", f"{by_id}/evidence/1/tree", f"{by_id}/evidence/1/screenshot"),
        *(f"{by_id}/recordings", f"{by_id}/shares", "/recordings/1", "/recordings/1/media/1/raw", shared),
        *(f"/transcripts/by-id/{meeting.meeting_id}?format={form}" for form in ("json", "txt", "srt", "vtt")),
        *(f"/transcripts/room/{CALL}", f"/bots/room/{CALL}/chat", f"/bots/room/{CALL}/commands/1"),
        f"/transcripts/room/{CALL}?meeting_id={meeting.meeting_id}",
    ]
    found = [(await house.call("GET", path)).content.decode(errors="replace") for path in paths]
    return [text.replace(f"'{CALL}'", "") for text in found]  # a refusal repeats what was asked for


async def test_a_deleted_word_is_nowhere(house: House) -> None:
    meeting = await told_everywhere(house)
    share = (await house.call("POST", f"/meetings/{meeting.meeting_id}/shares", json={})).json()
    await house.append(meeting, "not collected yet")
    assert await house.tables() == PLACES, "the search finds what is there"
    assert await house.keys() == {STREAM, DEAD_STREAM}
    assert house.files()
    assert sum(WORD in text for text in await answers(house, meeting, share["path"])) >= 12

    deleted = await house.call("DELETE", f"/meetings/{meeting.meeting_id}")
    assert deleted.status_code == 200, deleted.text
    assert (await house.tables(), await house.keys(), house.files()) == (set(), set(), [])

    async with house.manager.feed.subscribe(meeting.meeting_id) as live:
        await house.append(meeting, "late")
        await house.append(meeting, "late and forged", token="somebody else's")
        await house.collect()
        await house.manager.collector.store([said(meeting, "late last words")])
        await house.manager.settle()
        house.manager.feed.publish(meeting.meeting_id, {"type": "end"})
        assert await anext(aiter(live)) == {"type": "end"}, "no text came before"
    assert (await house.tables(), await house.keys(), house.files()) == (set(), set(), [])
    assert not [text for text in await answers(house, meeting, share["path"]) if WORD in text]
    assert json.loads((await answers(house, meeting, share["path"]))[0])["meetings"][0]["data"]["redacted"] is True


async def test_a_deletion_while_the_collector_stores_and_twice_at_once_leaves_nothing(house: House) -> None:
    meeting = await told_everywhere(house)
    other = (await house.manager.bots.request(meeting.user_id, wish("another"))).meeting
    for number in range(60):
        await house.append(meeting, f"late {number}")
        await house.append(other, f"kept {number}")
    manager = house.manager
    small = Collector(manager.stream, manager.store, manager.feed, CREDENTIALS, batch=3, wait_s=0.0)

    async def delete() -> httpx.Response:
        return await house.call("DELETE", f"/meetings/{meeting.meeting_id}")

    async def collect() -> None:
        while await manager.stream.backlog():
            await small.collect()

    _, *deletions = await asyncio.gather(collect(), delete(), delete())
    assert [answer.status_code for answer in deletions] == [200, 200]
    await house.collect()
    assert not await house.manager.store.segments(meeting.meeting_id)
    assert len(await house.manager.store.segments(other.meeting_id)) == 60
    assert await house.keys() == set()
