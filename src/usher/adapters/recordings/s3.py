"""Recordings in storage that speaks S3: an object for each chunk."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from usher.domain.errors import CannotStore, NotFound, Unavailable

if TYPE_CHECKING:
    from obstore.store import S3Config  # a type that is not there at run time

_MOST_DELETED = 500


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where the storage is.

    Attributes:
        prefix: Begins every key.
        endpoint: None for Amazon's.
        access_key_id: None for the role of the machine, as Amazon's metadata service tells it.
        timeout_s: For one operation, with what is tried again.
    """

    name: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    virtual_hosted: bool = False
    timeout_s: float = 15.0


class S3RecordingStore:
    """See `usher.ports.RecordingStore`."""

    def __init__(self, bucket: Bucket) -> None:
        self._prefix = bucket.prefix
        self._timeout_s = bucket.timeout_s
        self._store = _open(bucket)

    async def put(self, key: str, content: bytes) -> None:
        """Write an object: it is there when the storage has said so."""
        try:
            with _answering():
                async with asyncio.timeout(self._timeout_s):
                    await obstore.put_async(self._store, self._prefix + key, content, use_multipart=False)
        except FileNotFoundError:
            raise CannotStore("The bucket of the recordings is not there.") from None

    async def get(self, key: str) -> bytes:
        """Read an object."""
        try:
            with _answering():
                async with asyncio.timeout(self._timeout_s):
                    answer = await obstore.get_async(self._store, self._prefix + key)
                    return bytes(await answer.bytes_async())
        except FileNotFoundError:
            raise NotFound("lost_recording", "A part of this recording is not there any more.") from None

    async def delete(self, prefix: str) -> None:
        """Delete every object below a prefix, some hundred at a time."""
        try:
            with _answering():
                while paths := await self._some(self._prefix + prefix):
                    async with asyncio.timeout(self._timeout_s):
                        await obstore.delete_async(self._store, paths)
        except FileNotFoundError:
            # Not taken for done: the row of a recording is forgotten only when its bytes are certainly gone.
            raise Unavailable("The bucket of the recordings is not there.") from None

    async def _some(self, prefix: str) -> list[str]:
        async with asyncio.timeout(self._timeout_s):
            async for found in obstore.list(self._store, prefix, chunk_size=_MOST_DELETED):
                return [each["path"] for each in found]
        return []


def _open(bucket: Bucket) -> S3Store:
    config: S3Config = {
        "bucket": bucket.name,
        "region": bucket.region,
        "virtual_hosted_style_request": bucket.virtual_hosted,
    }
    if bucket.endpoint is not None:
        config["endpoint"] = bucket.endpoint
    if bucket.access_key_id is not None and bucket.secret_access_key is not None:
        config["access_key_id"], config["secret_access_key"] = bucket.access_key_id, bucket.secret_access_key
    return S3Store(
        config=config,
        client_options={
            "allow_http": (bucket.endpoint or "").startswith("http://"),
            "timeout": timedelta(seconds=bucket.timeout_s),
        },
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=bucket.timeout_s)},
    )


@contextmanager
def _answering() -> Iterator[None]:
    """Translate errors of the library, whose texts may hold what the storage said.

    Raises:
        FileNotFoundError: There is no such object.
        CannotStore: The storage refuses these credentials.
        Unavailable: Anything else.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (PermissionDeniedError, UnauthenticatedError) as error:
        raise CannotStore(f"The storage of the recordings refuses Usher ({type(error).__name__}).") from None
    except (BaseError, OSError, TimeoutError) as error:
        raise Unavailable(f"The storage of the recordings does not answer ({type(error).__name__}).") from None
