"""What is taken out of a container: the end of its output, and one small file."""

import io
import tarfile
from collections.abc import AsyncIterator

_HEAD_BYTES = 8
"""Before each piece of output: the stream's number, three bytes of nothing, and the length, big-endian."""

_TAR_BYTES = 16 << 10
"""More than a tar archive of one file adds to it: headers, and zeros up to a full record of 10 KiB."""


async def tail(pieces: AsyncIterator[bytes], last_bytes: int) -> bytes:
    """Return the end of what a container printed.

    Source: docs.docker.com/reference/api/engine, "Attach to a container", "Stream format".
    """
    waiting, kept = bytearray(), bytearray()
    async for piece in pieces:
        waiting += piece
        while len(waiting) >= _HEAD_BYTES:
            end = _HEAD_BYTES + int.from_bytes(waiting[4:_HEAD_BYTES], "big")
            if len(waiting) < end:
                break
            kept += waiting[_HEAD_BYTES:end]
            del waiting[:end], kept[: max(0, len(kept) - last_bytes)]
    return bytes(kept)


async def single_file(pieces: AsyncIterator[bytes], most_bytes: int) -> bytes:
    """Return the content of the one regular file in an archive; empty if it is anything else, torn, or too long.

    The bot made the file, and it may be no bot any more that did: no more is read than a file of that length takes.
    """
    archive = bytearray()
    async for piece in pieces:
        archive += piece
        if len(archive) > most_bytes + _TAR_BYTES:
            return b""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as opened:
            member = opened.next()
            content = opened.extractfile(member) if member is not None and member.isreg() else None
            return content.read() if content is not None and member is not None and member.size <= most_bytes else b""
    except tarfile.TarError:
        return b""
