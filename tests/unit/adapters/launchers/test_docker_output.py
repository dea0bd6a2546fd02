"""Output and files of containers that are not what they should be."""

import io
import tarfile
from collections.abc import AsyncIterator

import pytest

from usher.adapters.launchers.docker.output import single_file, tail
from usher.adapters.launchers.docker.state import read_state
from usher.domain.lifecycle import Reason
from usher.domain.reconcile import Exited, Observation, Running

LIMIT = 1000


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


def framed(*outputs: bytes) -> bytes:
    return b"".join(bytes([1, 0, 0, 0]) + len(one).to_bytes(4, "big") + one for one in outputs)


def archive(*members: tuple[str, bytes, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as opened:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, len(content)
            opened.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.mark.parametrize("size", [1, 7, 8, 1000])
@pytest.mark.parametrize("last_bytes", [0, 3, 9, 100])
async def test_the_end_of_the_output_is_the_same_in_whatever_pieces_it_comes(size: int, last_bytes: int) -> None:
    printed = (b"one ", b"", b"two\n", b"three")
    whole = b"".join(printed)
    assert await tail(pieces(framed(*printed), size), last_bytes) == whole[max(0, len(whole) - last_bytes) :]


async def test_output_that_breaks_off_is_what_came() -> None:
    assert await tail(pieces(framed(b"one", b"two")[:-1], 5), 100) == b"one"


async def test_one_file_is_read() -> None:
    data = archive(("last-words", tarfile.REGTYPE, b"w" * LIMIT))
    assert await single_file(pieces(data, 100), LIMIT) == b"w" * LIMIT


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive at all",
        archive(("last-words", tarfile.REGTYPE, b"w" * (LIMIT + 1))),
        archive(("last-words", tarfile.DIRTYPE, b""), ("last-words/more", tarfile.REGTYPE, b"x")),
        archive(("last-words", tarfile.SYMTYPE, b"")),
        archive(("last-words", tarfile.REGTYPE, b"w" * LIMIT))[: LIMIT // 2],
    ],
)
async def test_anything_else_is_nothing(data: bytes) -> None:
    assert await single_file(pieces(data, 100), LIMIT) == b""


async def test_no_more_is_read_than_the_file_may_take() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1000
            yield bytes(1000)

    assert await single_file(endless(), LIMIT) == b""
    assert read < LIMIT + 20_000


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"Status": "created", "ExitCode": 0}, Running()),
        ({"Status": "running", "ExitCode": 0, "OOMKilled": True}, Running()),
        ({"Status": "paused", "ExitCode": 0}, Running()),
        ({"Status": "restarting", "ExitCode": 1}, Running()),
        ({"Status": "exited", "ExitCode": 0}, Exited(0)),
        ({"Status": "exited", "ExitCode": 3}, Exited(3)),
        ({"Status": "exited", "ExitCode": 139}, Exited(139, "killed by SIGSEGV")),
        ({"Status": "exited", "ExitCode": 255}, Exited(255)),
        ({"Status": "exited", "ExitCode": 0, "OOMKilled": True}, Exited(0)),
        ({"Status": "exited", "ExitCode": 1, "OOMKilled": True}, Exited(1, "out of memory", Reason.OUT_OF_MEMORY)),
        ({"Status": "dead", "ExitCode": 137}, Exited(137, "killed by SIGKILL")),
        ({"Status": "removing", "ExitCode": 0}, Exited(0)),
        ({"Status": "exited", "ExitCode": 128, "Error": "the engine's words"}, Exited(128, "the engine's words")),
    ],
)
def test_a_state_means(state: dict[str, object], expected: Observation) -> None:
    assert read_state(state) == expected
