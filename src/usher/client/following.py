"""Following a meeting live, over as many connections as it takes."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import connect

from usher.client.errors import ApiError
from usher.domain.meeting import Platform
from usher.protocol.live import StatusFrame, TranscriptFrame

_TIMEOUT_S = 15.0
_PAUSE_S = 0.5
_PASSING = frozenset({"unavailable", "auth_unavailable"})


class Following:
    """One meeting, followed from a cursor on.

    Args:
        url: Of the API.
        api_key: Whose.
        platform: Of the meeting.
        native_meeting_id: Of the meeting.
        cursor: Go on after the frame with that cursor; None for the present state first.
        patience_s: How long it may take to connect again.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        platform: Platform,
        native_meeting_id: str,
        *,
        cursor: str | None,
        patience_s: float,
    ) -> None:
        self._url = url.replace("http", "ws", 1) + "/ws"
        self._headers = {"X-API-Key": api_key}
        self._name = {"platform": platform, "native_id": native_meeting_id}
        self._cursor = cursor
        self._patience_s = patience_s
        self._well_at: float | None = None

    def frames(self) -> Iterator[StatusFrame | TranscriptFrame]:
        """Yield frames; after a break, what was missed comes first.

        Raises:
            ApiError: The connection was refused, or broke and could not be made again in time.
        """
        while True:
            try:
                for message in self._messages():
                    self._well_at = time.monotonic()
                    self._cursor = message.get("cursor", self._cursor)
                    frame = _frame(message)
                    if frame is not None:
                        yield frame
            except (OSError, WebSocketException) as error:
                self._wait(type(error).__name__, error)
            else:
                self._wait("it was closed", None)

    def _messages(self) -> Iterator[dict[str, Any]]:
        """Yield what comes over one connection."""
        with connect(self._url, additional_headers=self._headers, open_timeout=_TIMEOUT_S) as socket:
            name = self._name if self._cursor is None else self._name | {"cursor": self._cursor}
            with suppress(ConnectionClosed):  # a refusal may be here already, and is read next
                socket.send(json.dumps({"action": "subscribe", "meetings": [name]}))
            for text in socket:
                message: dict[str, Any] = json.loads(text)
                if message.get("type") == "error" and message.get("error") in _PASSING:
                    return
                yield message

    def _wait(self, why: str, error: Exception | None) -> None:
        """Wait a little before the next try.

        Raises:
            ApiError: There never was a connection, or it has been away for too long.
        """
        if self._well_at is None or time.monotonic() - self._well_at > self._patience_s:
            raise ApiError(0, "live_broken", f"The live connection broke: {why}.") from error
        time.sleep(_PAUSE_S)


def _frame(message: dict[str, Any]) -> StatusFrame | TranscriptFrame | None:
    kind = message.get("type")
    if kind == "meeting.status":
        return StatusFrame.model_validate(message)
    if kind == "transcript.mutable":
        return TranscriptFrame.model_validate(message)
    if kind == "error" and message.get("error") != "invalid_cursor":
        raise ApiError(0, str(message.get("error")), f"The server refused: {message.get('error')}.")
    return None
