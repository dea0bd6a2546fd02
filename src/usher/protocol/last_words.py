"""What a bot leaves behind when it has to exit before the manager has heard all of it.

The launcher names a place in the environment variable `USHER_LAST_WORDS`; the bot writes one sealed document there, and
the manager asks the launcher for it before it draws its own conclusions from the end of the workload.
"""

import hashlib
import hmac
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from usher.protocol.reports import Exited, Started, Status
from usher.protocol.segments import SegmentEntry

VARIABLE = "USHER_LAST_WORDS"
"""Environment variable that holds the path of the file to write."""

LIMIT_VARIABLE = "USHER_LAST_WORDS_BYTES"
"""Environment variable that holds how many bytes the launcher keeps, where that is less than `MOST_BYTES`."""

MOST_BYTES = 1 << 20
"""A longer document is not read."""

_MAC_BYTES = 64


class UnsentStarted(Started):
    """The report that the bot is in the meeting."""

    kind: Literal["started"] = "started"


class UnsentStatus(Status):
    """A report from the bot's way."""

    kind: Literal["status"] = "status"


class UnsentExited(Exited):
    """The last word."""

    kind: Literal["exited"] = "exited"


UnsentReport = Annotated[UnsentStarted | UnsentStatus | UnsentExited, Field(discriminator="kind")]


class LastWords(BaseModel):
    """Reports that were not answered and segments that were not confirmed, each in its order."""

    model_config = ConfigDict(frozen=True)

    connection_id: str
    reports: list[UnsentReport] = Field(default=[], max_length=100)
    entries: list[SegmentEntry] = Field(default=[], max_length=200)


def seal(words: LastWords, token: str) -> bytes:
    """Return the document: a hexadecimal HMAC-SHA256 with the bot's token, a line feed, and the words as JSON."""
    body = words.model_dump_json().encode()
    return _mac(body, token) + b"\n" + body


def unseal(document: bytes, token: str) -> LastWords | None:
    """Return what a document says, or None if it is torn, too long, or not sealed with `token`."""
    mac, _, body = document.partition(b"\n")
    if len(document) > MOST_BYTES or len(mac) != _MAC_BYTES or not hmac.compare_digest(mac, _mac(body, token)):
        return None
    try:
        return LastWords.model_validate_json(body)
    except ValidationError:
        return None


def _mac(body: bytes, token: str) -> bytes:
    return hmac.new(token.encode(), b"last words:" + body, hashlib.sha256).hexdigest().encode()
