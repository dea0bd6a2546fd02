"""A viewer that comes back, or whose frames get lost, has been told the same as one that never went."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.eventually import eventually
from tests.support.world import World, exited

from usher.adapters.memory.redis import MemoryFeed
from usher.api.cursors import Cursor
from usher.api.following import Follower
from usher.app.chat import take_chat
from usher.app.transcripts import delete
from usher.domain.lifecycle import Reason
from usher.domain.meeting import Platform
from usher.ports import Feed, Json, Meeting
from usher.protocol.chat import SeenLine
from usher.protocol.segments import SegmentEntry, SpokenSegment

WAIT_S = 30.0
Frame = dict[str, Any]


class _Forgetful(MemoryFeed):
    """A feed that loses every third frame on the way, and does not notice; and swaps each two that come through."""

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._held: list[tuple[int, Json]] = []

    def publish(self, meeting_id: int, frame: Json) -> None:
        self._count += 1
        if self._count % 3:
            self._held.append((meeting_id, frame))
        if len(self._held) == 2:
            for held in reversed(self._held):
                super().publish(*held)
            self._held.clear()


class Show:
    """A meeting in which something happens with every act.

    Its news go over `feed`, too; a viewer of either knows the same in the end.
    """

    def __init__(self, world: World, meeting: Meeting, feed: Feed) -> None:
        self.world, self.meeting = world, meeting
        self._feed, self._acts = feed, 0
        publish = world.feed.publish

        def both(meeting_id: int, frame: Json) -> None:
            publish(meeting_id, frame)
            if feed is not world.feed:
                feed.publish(meeting_id, frame)

        world.feed.publish = both  # type: ignore[method-assign]  # the world's own parts publish there

    async def say(self, segment_id: str, text: str, revision: int = 0) -> None:
        said = SpokenSegment(
            segment_id=segment_id, revision=revision, start_s=1.0, end_s=2.0, text=text, completed=False
        )
        began = datetime(2026, 1, 1, tzinfo=UTC)
        entry = SegmentEntry(meeting_id=self.meeting.meeting_id, session_uid="s", session_start=began, segments=[said])
        await self.world.collector.store([entry])

    async def write(self, *texts: str) -> None:
        bot = await self.world.bot_of(self.meeting.meeting_id)
        lines = [SeenLine(line_id=text, text=text, ago_s=0.0) for text in texts]
        await take_chat(self.world.store, self.world.feed, bot, lines)

    async def configure(self) -> None:
        self._acts += 1
        language = "de" if self._acts % 2 else "en"
        user = await self.world.user()
        await self.world.bots.configure(user.user_id, Platform.ROOM, "weekly-sync", {"language": language})
        await asyncio.sleep(0)

    async def end(self) -> None:
        await self.world.reports.exited(await self.world.bot_of(self.meeting.meeting_id), exited(0, Reason.LEFT_ALONE))
        await self.world.settle()

    async def delete(self) -> None:
        world = self.world
        now = await world.meeting(self.meeting.meeting_id)
        await delete(world.store, world.recordings, world.stream, world.feed, now)


@asynccontextmanager
async def show(feed: Feed | None = None) -> AsyncIterator[Show]:
    world = World()
    meeting = await world.active()
    await asyncio.sleep(0)
    yield Show(world, meeting, feed or world.feed)


class Viewer:
    """Keeps what it is told; it may go and come back.

    Attributes:
        frames: All that it was told.
        cursor: Of the last frame.
    """

    def __init__(self, on: Show, feed: Feed | None = None, cursor: str | None = None) -> None:
        self.frames: list[Frame] = []
        self.cursor = cursor
        self._show, self._feed = on, feed or on.world.feed

    @asynccontextmanager
    async def watching(self) -> AsyncIterator["Viewer"]:
        task = asyncio.create_task(self._watch())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()

    async def until(self, **position: int) -> None:
        """Wait until the cursor is there."""

        def there() -> bool:
            at = Cursor.read(self.cursor)
            return at is not None and all(getattr(at, name) == value for name, value in position.items())

        await eventually(there, timeout_s=WAIT_S)

    async def _watch(self) -> None:
        follower = Follower(self._show.world.store, self._feed, self._show.meeting, self.cursor)
        async with follower.following() as frames:
            async for frame in frames:
                self.frames.append(frame)
                self.cursor = frame.get("cursor", self.cursor)

    def kinds(self) -> list[str]:
        return [frame["type"] for frame in self.frames]

    def versions(self) -> list[int]:
        return [frame["payload"]["version"] for frame in self.frames if frame["type"] == "meeting.status"]

    def statuses(self) -> list[tuple[Any, ...]]:
        told = [frame["payload"] for frame in self.frames if frame["type"] == "meeting.status"]
        return [(one["version"], one["status"], one["attempt"], one["reason"]) for one in told]

    def text(self) -> dict[str, str]:
        told = [frame["payload"]["segments"] for frame in self.frames if frame["type"] == "transcript.mutable"]
        return {segment["segment_id"]: segment["text"] for segments in told for segment in segments}

    def messages(self) -> list[str]:
        told = [frame["payload"]["messages"] for frame in self.frames if frame["type"] == "chat.received"]
        return [message["text"] for messages in told for message in messages]


async def test_without_a_cursor_the_present_comes_first_and_each_frame_has_a_cursor() -> None:
    async with show() as on:
        await on.say("a", "hello")
        await on.write("one", "two")
        async with Viewer(on).watching() as viewer:
            await viewer.until(messages=2)
            await on.say("b", "there")
            await viewer.until(edition=2)
    assert viewer.kinds() == ["meeting.status", "transcript.mutable", "chat.received", "transcript.mutable"]
    assert viewer.versions() == [on.meeting.version]
    assert all(Cursor.read(frame["cursor"]) for frame in viewer.frames)


async def test_a_viewer_that_comes_back_gets_what_it_missed_and_nothing_else() -> None:
    async with show() as on:
        await on.say("a", "hello")
        await on.say("b", "good")
        await on.write("one")
        viewer = Viewer(on)
        async with viewer.watching():
            await viewer.until(messages=1)
        told, before = len(viewer.frames), on.meeting.version
        await on.configure()
        await on.say("b", "good morning", revision=1)
        await on.write("two")
        await on.end()
        after = await on.world.meeting(on.meeting.meeting_id)
        async with viewer.watching():
            await viewer.until(version=after.version, messages=2)
    missed = viewer.frames[told:]
    statuses = [frame["payload"] for frame in missed if frame["type"] == "meeting.status"]
    assert [one["version"] for one in statuses] == list(range(before + 1, after.version + 1))
    assert statuses[-1] == statuses[-1] | {"status": after.status, "reason": after.reason}
    assert [frame["payload"]["segments"][0]["text"] for frame in missed if frame["type"] == "transcript.mutable"] == [
        "good morning"
    ]
    assert viewer.messages() == ["one", "two"]


async def test_from_every_frame_on_the_rest_is_the_same() -> None:
    """The cursor of any frame leads to all that is told after that frame, from the first to the last."""
    async with show() as on:
        rest = random.Random(7)  # noqa: S311 - no secret
        async with Viewer(on).watching() as steady:
            await steady.until(version=on.meeting.version)
            for number in range(12):
                await rest.choice(
                    [
                        on.configure,
                        lambda number=number: on.say(f"s{number % 4}", f"text {number}", number),  # type: ignore[misc]  # mypy cannot infer a lambda with a default
                        lambda number=number: on.write(f"line {number}"),  # type: ignore[misc]  # see above
                    ]
                )()
            await on.end()
            last = await on.world.meeting(on.meeting.meeting_id)
            await steady.until(version=last.version)
        for place, frame in enumerate(steady.frames):
            back = Viewer(on, cursor=frame["cursor"])
            back.frames += steady.frames[: place + 1]
            async with back.watching():
                end = Cursor.read(steady.cursor)
                assert end is not None
                await back.until(version=end.version, edition=end.edition, messages=end.messages)
            assert back.versions() == steady.versions()
            assert back.text() == steady.text()
            assert back.messages() == steady.messages()
    assert len(steady.frames) > 12


async def test_what_the_feed_loses_or_swaps_is_told_all_the_same() -> None:
    feed = _Forgetful()
    async with show(feed) as on, Viewer(on, feed).watching() as viewer, Viewer(on).watching() as steady:
        await steady.until(version=on.meeting.version)
        await viewer.until(version=on.meeting.version)
        for number in range(30):
            await on.say(f"s{number % 7}", f"text {number}", number)
            await on.write(f"line {number}")
            await on.configure()
        await on.end()
        await steady.until(edition=30, messages=30)
        # What is lost last shows when something comes after it: three frames more of each kind.
        for number in range(30, 33):
            await on.say("last", f"text {number}", number)
            await on.say("last", f"text {number}", number)
        await eventually(lambda: viewer.versions() == steady.versions(), timeout_s=WAIT_S)
        await eventually(lambda: viewer.text().keys() == steady.text().keys(), timeout_s=WAIT_S)
    assert viewer.statuses() == steady.statuses()
    assert viewer.versions() == list(range(on.meeting.version, on.meeting.version + len(viewer.versions())))
    assert viewer.messages() == [f"line {number}" for number in range(30)]
    assert {key: text for key, text in viewer.text().items() if key != "last"} == {
        key: text for key, text in steady.text().items() if key != "last"
    }


async def test_a_deletion_is_told_once_and_no_text_after_it() -> None:
    async with show() as on:
        await on.say("a", "hello")
        await on.end()
        away = Viewer(on)
        async with away.watching():
            await away.until(edition=1)
        late: list[tuple[int, Json]] = []
        async with on.world.feed.subscribe(on.meeting.meeting_id) as heard, Viewer(on).watching() as viewer:
            await viewer.until(edition=1)
            await on.delete()
            await viewer.until(deleted=1)
            frame = {**viewer.frames[-2], "payload": viewer.frames[-2]["payload"] | {"edition": 2}}
            on.world.feed.publish(on.meeting.meeting_id, frame)
            await on.delete()
            late += [(0, await anext(aiter(heard)))]
        for _ in range(2):
            async with away.watching():
                await away.until(deleted=1)
        async with Viewer(on).watching() as newcomer:
            await newcomer.until(deleted=1)
    assert late[0][1]["type"] == "transcript.deleted"
    assert viewer.kinds()[-2:] == ["transcript.mutable", "transcript.deleted"]
    assert away.kinds()[-2:] == ["transcript.mutable", "transcript.deleted"]
    assert newcomer.kinds() == ["meeting.status", "transcript.deleted"]


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "1.2.3",
        "9" * 300,
        "1.{other}.1.0.0.0",
        "1.{mine}.999.0.0.0",
        "1.{mine}.1.5.0.0",
        "1.{mine}.1.0.7.0",
        "1.{mine}.1.-2.0.0",
        "1.{mine}.1.0.0.2",
    ],
)
async def test_a_cursor_of_something_that_never_was_is_refused_and_the_present_told(cursor: str) -> None:
    async with show() as on:
        await on.say("a", "hello")
        given = cursor.format(mine=on.meeting.meeting_id, other=on.meeting.meeting_id + 1)
        async with Viewer(on, cursor=given).watching() as viewer:
            await viewer.until(version=on.meeting.version, edition=1)
    assert viewer.kinds() == ["error", "meeting.status", "transcript.mutable"]
    assert viewer.frames[0] == {
        "type": "error",
        "error": "invalid_cursor",
        "meeting": {"id": on.meeting.meeting_id},
    }


async def test_text_of_a_collector_that_knows_no_editions_is_shown() -> None:
    async with show() as on, Viewer(on).watching() as viewer:
        await viewer.until(version=on.meeting.version)
        old = {"type": "transcript.mutable", "meeting": {"id": on.meeting.meeting_id}, "payload": {"segments": []}}
        on.world.feed.publish(on.meeting.meeting_id, old)
        await on.say("a", "hello")
        await viewer.until(edition=1)
    assert viewer.kinds() == ["meeting.status", "transcript.mutable", "transcript.mutable"]


def test_a_cursor_is_read_as_it_was_written() -> None:
    for cursor in (Cursor(1), Cursor(42, 7, 19, 3, deleted=1), Cursor(10**17, 10**17, 10**17, 10**17)):
        assert Cursor.read(str(cursor)) == cursor
