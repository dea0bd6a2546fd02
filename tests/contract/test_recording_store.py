"""What every place for the bytes of recordings has to do: a directory, a server that speaks S3, the memory of tests."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.s3_server import BUCKET, KEY_ID, SECRET, S3Server, s3_server
from tests.support.small_disk import small_disk

from usher.adapters.memory.store_recordings import MemoryRecordingStore
from usher.adapters.recordings.disk import DiskRecordingStore
from usher.domain.errors import CannotStore, NotFound, Unavailable
from usher.ports import RecordingStore

pytest.importorskip("obstore")

from usher.adapters.recordings.s3 import Bucket, S3RecordingStore

KEY = "12/0b6c/mixed/00000003-5f2c"


def bucket_of(server: S3Server) -> Bucket:
    return Bucket(
        BUCKET, prefix="usher/", endpoint=server.url, access_key_id=KEY_ID, secret_access_key=SECRET, timeout_s=3.0
    )


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[S3Server]:
    async with s3_server(tmp_path) as running:
        yield running


@pytest.fixture(params=["memory", "disk", "s3"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RecordingStore]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield MemoryRecordingStore()
        elif request.param == "disk":
            yield DiskRecordingStore(tmp_path / "recordings")
        else:
            yield S3RecordingStore(bucket_of(await stack.enter_async_context(s3_server(tmp_path))))


async def test_what_is_put_is_got_and_putting_it_again_changes_nothing(store: RecordingStore) -> None:
    content = os.urandom(190 * 1024)
    for _ in range(2):
        await store.put(KEY, content)
    await store.put("12/0b6c/mixed/00000004-aaaa", b"")
    assert await store.get(KEY) == content
    assert await store.get("12/0b6c/mixed/00000004-aaaa") == b""


async def test_what_is_not_there_is_not_found(store: RecordingStore) -> None:
    with pytest.raises(NotFound):
        await store.get(KEY)


async def test_a_recording_is_deleted_and_nothing_else(store: RecordingStore) -> None:
    gone = [f"1/a/{name}/{number:08d}-00" for name in ("mixed", "speaker-1") for number in range(12)]
    stays = ["1/ab/mixed/00000000-00", "11/a/mixed/00000000-00"]
    await asyncio.gather(*(store.put(key, key.encode()) for key in [*gone, *stays]))
    for _ in range(2):
        await store.delete("1/a/")
    for key in gone:
        with pytest.raises(NotFound):
            await store.get(key)
    assert [await store.get(key) for key in stays] == [key.encode() for key in stays]


async def test_on_disk_others_read_nothing_and_nothing_half_written_is_left(tmp_path: Path) -> None:
    home = tmp_path / "recordings"
    await DiskRecordingStore(home).put(KEY, b"sound")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (home / KEY).parents if path.is_relative_to(home)}
    assert modes == {0o700}
    assert [path.name for path in (home / KEY).parent.iterdir()] == ["00000003-5f2c"]


async def test_a_full_disk_says_so_and_keeps_what_it_has(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        store = DiskRecordingStore(disk / "recordings")
        await store.put("1/a/mixed/00000000-00", b"x" * 100_000)
        with pytest.raises(CannotStore, match="ENOSPC"):
            await store.put("1/a/mixed/00000001-00", b"x" * 1_000_000)
        assert await store.get("1/a/mixed/00000000-00") == b"x" * 100_000
        assert not list(disk.rglob("*.part"))


async def test_a_directory_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CannotStore, match="EEXIST"):
        await DiskRecordingStore(tmp_path / "file").put(KEY, b"sound")


async def test_a_key_never_leads_out_of_the_directory(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="out of"):
        await DiskRecordingStore(tmp_path / "recordings").put("1/../../x", b"sound")


async def test_objects_are_named_by_prefix_and_key(server: S3Server) -> None:
    await S3RecordingStore(bucket_of(server)).put(KEY, b"sound")
    assert f"usher/{KEY}" in server.objects()


async def test_storage_that_is_away_is_unavailable(server: S3Server) -> None:
    store = S3RecordingStore(bucket_of(server))
    await store.put(KEY, b"sound")
    await server.kill()
    for attempt in (store.put(KEY, b"sound"), store.get(KEY), store.delete("12/0b6c/")):
        with pytest.raises(Unavailable):
            await attempt


async def test_storage_that_refuses_says_so_without_a_secret(server: S3Server) -> None:
    bucket = replace(bucket_of(server), secret_access_key="another")
    store = S3RecordingStore(bucket)
    with pytest.raises(CannotStore) as refused:
        await store.put(KEY, b"sound")
    assert "another" not in repr(bucket) + refused.value.detail


async def test_a_bucket_that_is_not_there_says_so(server: S3Server) -> None:
    store = S3RecordingStore(replace(bucket_of(server), name="elsewhere"))
    with pytest.raises(CannotStore, match="bucket"):
        await store.put(KEY, b"sound")
    with pytest.raises(Unavailable):
        await store.delete("12/0b6c/")
