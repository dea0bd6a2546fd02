"""Calls to a service of OpenAI's form: bounded in time and size, and made again while that may help.

What is said in a meeting, and the key, get into no log and no error: of an answer that is an error only the status and
the code are told.
"""

import re
import time
from collections.abc import Mapping, Sequence

import httpx
import structlog

from usher.protocol.retry_after import retry_after_s
from usher.transcription.config import RemoteConfig
from usher.transcription.engine import EngineError, EngineUnavailable

log = structlog.get_logger(__name__)

_MOST_ANSWER_BYTES = 1 << 20
_CONNECT_S = 5.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 8.0
_OK = 200
_LATER = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_HINTS = {
    401: ": the key is missing or wrong",
    403: ": the key may not do this",
    404: ": the URL or the model is wrong",
}
_CODE = re.compile(rb'"code"\s*:\s*"([a-z0-9_.-]{1,64})"')


class Refused(EngineError):
    """The service will not answer this call, however often it is made.

    Attributes:
        status: HTTP status of its answer.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class _NotNow(Exception):
    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


class Endpoint:
    """A service's address, and the connections to it. Safe to share between threads."""

    def __init__(self, config: RemoteConfig) -> None:
        """Opens nothing yet.

        Args:
            config: Where the service is and how long it is waited for.

        Raises:
            EngineError: The URL is none.
        """
        self._config = config
        self._url = config.url.rstrip("/")
        try:
            self.host = httpx.URL(self._url).host
        except httpx.InvalidURL as error:
            raise EngineError(f"the URL of the speech service is none: {error}") from error
        if not self.host or not self._url.startswith(("https://", "http://")):
            raise EngineError("the URL of the speech service must begin with https:// or http:// and name a host")
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {config.key}"} if config.key else {},
            limits=httpx.Limits(max_connections=config.connections),
        )

    def post(self, path: str, fields: Mapping[str, str | Sequence[str]], audio: bytes) -> bytes:
        """Sends audio, again and again where that may help, until the time is over.

        Args:
            path: Path below the base URL.
            fields: Form fields.
            audio: A WAV file.

        Returns:
            The body of the answer.

        Raises:
            Refused: The service refuses the call.
            EngineUnavailable: There was no answer in time.
        """
        until = time.monotonic() + self._config.timeout_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return self._post(path, fields, audio, until)
            except _NotNow as failure:
                wait_s = pause_s if failure.after_s is None else failure.after_s
                if time.monotonic() + wait_s >= until:
                    raise EngineUnavailable(f"the speech service {self.host} {failure}") from failure
                log.info("speech_service_not_now", host=self.host, problem=str(failure), wait_s=round(wait_s, 2))
            time.sleep(wait_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _post(self, path: str, fields: Mapping[str, str | Sequence[str]], audio: bytes, until: float) -> bytes:
        left_s = max(0.001, until - time.monotonic())
        call = self._client.stream(
            "POST",
            self._url + path,
            data=fields,
            files={"file": ("speech.wav", audio, "audio/wav")},
            timeout=httpx.Timeout(left_s, connect=min(_CONNECT_S, left_s)),
        )
        try:
            with call as answer:
                body = _read(answer, until)
        except httpx.TimeoutException as error:
            raise _NotNow("did not answer in time") from error
        except httpx.HTTPError as error:
            raise _NotNow(f"cannot be reached ({type(error).__name__})") from error
        self._check(answer, body)
        return body

    def _check(self, answer: httpx.Response, body: bytes) -> None:
        status = answer.status_code
        if status == _OK:
            return
        code = _CODE.search(body)
        why = f"answered {status}" + (f" {code[1].decode()}" if code else "")
        if status in _LATER:
            raise _NotNow(why, retry_after_s(answer.headers.get("Retry-After")))
        raise Refused(status, f"the speech service {self.host} {why}{_HINTS.get(status, '')}")


def _read(answer: httpx.Response, until: float) -> bytes:
    body = b""
    for part in answer.iter_bytes():
        body += part
        if len(body) > _MOST_ANSWER_BYTES:
            raise Refused(answer.status_code, "the answer of the speech service is too long")
        if time.monotonic() > until:
            raise _NotNow("did not end its answer in time")
    return body
