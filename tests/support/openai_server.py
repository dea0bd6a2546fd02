"""A speech service with the audio API of OpenAI, made of faster-whisper: real texts, and faults on demand."""

import contextlib
import email
import email.policy
import io
import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from faster_whisper import WhisperModel  # type: ignore[import-untyped]  # ships no types

_LANGUAGE_NAMES = {"en": "english", "de": "german", "fr": "french", "es": "spanish"}


@dataclass(frozen=True)
class Fault:
    """What happens to one call in place of an answer.

    Attributes:
        status: Status it is answered with.
        body: Body of that answer.
        headers: Further headers of it.
        hang_s: Time before the answer.
        drip: Send the body byte by byte, each after this time.
        cut: Close the connection in place of an answer.
    """

    status: int = 200
    body: bytes = b'{"error": {"message": "no", "code": "made_for_a_test"}}'
    headers: dict[str, str] = field(default_factory=dict)
    hang_s: float = 0.0
    drip_s: float = 0.0
    cut: bool = False


@dataclass
class Call:
    """A call that came."""

    path: str
    authorization: str | None
    fields: dict[str, list[str]]
    audio: bytes
    at: float


@dataclass
class OpenAiServer:
    """How the service behaves, and what it was asked.

    Attributes:
        model: Transcribes; without one every text is "heard".
        key: Who comes without it is refused.
        knows_verbose: Whether it answers in `verbose_json`, as the models named whisper do, and not in `json` alone.
        faults: For the next calls, in order.
        calls: All that came.
    """

    url: str = ""
    model: WhisperModel | None = None
    key: str | None = None
    knows_verbose: bool = True
    faults: deque[Fault] = field(default_factory=deque)
    calls: list[Call] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, call: Call) -> tuple[int, dict[str, Any]]:
        """Transcribe, or refuse."""
        if self.key is not None and call.authorization != f"Bearer {self.key}":
            return _refusal(401, "invalid_api_key", f"Incorrect API key provided: {call.authorization}")
        form = call.fields.get("response_format", ["json"])[0]
        if form == "verbose_json" and not self.knows_verbose:
            return _refusal(400, "unsupported_value", "response_format 'verbose_json' is not compatible")
        if call.path not in {"/v1/audio/transcriptions", "/v1/audio/translations"}:
            return _refusal(404, "not_found", "no such path")
        task = "translate" if call.path.endswith("translations") else "transcribe"
        answer = self._transcribe(call, task)
        return 200, answer if form == "verbose_json" else {"text": answer["text"]}

    def _transcribe(self, call: Call, task: str) -> dict[str, Any]:
        if self.model is None:
            return {"text": "heard", "language": "english", "segments": []}
        wants_words = "word" in call.fields.get("timestamp_granularities[]", [])
        with self.lock:
            segments, info = self.model.transcribe(
                io.BytesIO(call.audio),
                language=call.fields.get("language", [None])[0],
                task=task,
                initial_prompt=call.fields.get("prompt", [None])[0],
                word_timestamps=wants_words,
                condition_on_previous_text=False,
            )
            found = list(segments)
        language = "english" if task == "translate" else _LANGUAGE_NAMES.get(info.language, info.language)
        answer: dict[str, Any] = {
            "task": task,
            "language": language,
            "duration": info.duration,
            "text": "".join(segment.text for segment in found).strip(),
            "segments": [
                {
                    "id": segment.id,
                    "start": segment.start,
                    "end": segment.end,
                    "text": segment.text,
                    "tokens": segment.tokens,
                    "avg_logprob": segment.avg_logprob,
                    "no_speech_prob": segment.no_speech_prob,
                }
                for segment in found
            ],
        }
        if wants_words:
            answer["words"] = [_bare_word(word) for segment in found for word in segment.words or []]
        return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: OpenAiServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        call = _read_call(self.path, self.headers["Authorization"], self.headers["Content-Type"], body)
        self.service.calls.append(call)
        fault = self.service.faults.popleft() if self.service.faults else None
        if fault is None:
            status, answer = self.service.answer(call)
            self._send(status, json.dumps(answer).encode(), {})
        else:
            self._fail(fault)

    def _fail(self, fault: Fault) -> None:
        time.sleep(fault.hang_s)
        if fault.cut:
            self.close_connection = True
            return
        with contextlib.suppress(ConnectionError):
            self._send(fault.status, fault.body, fault.headers, drip_s=fault.drip_s)

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, drip_s: float = 0.0) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        for part in [body[at : at + 1] for at in range(len(body))] if drip_s else [body]:
            self.wfile.write(part)
            time.sleep(drip_s)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the name of the base class
        """Say nothing."""


@contextlib.contextmanager
def openai_server(
    model: Path | None = None, *, key: str | None = None, knows_verbose: bool = True
) -> Iterator[OpenAiServer]:
    """Serve on a port of its own until left.

    Args:
        model: Directory of the model; without one every text is "heard".
        key: Who comes without it is refused.
        knows_verbose: Whether `verbose_json` is known.
    """
    loaded = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1) if model else None
    service = OpenAiServer(model=loaded, key=key, knows_verbose=knows_verbose)
    handler = type("Handler", (_Handler,), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5.0)


def _read_call(path: str, authorization: str | None, content_type: str, body: bytes) -> Call:
    form = email.message_from_bytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body, policy=email.policy.HTTP
    )
    fields: dict[str, list[str]] = {}
    audio = b""
    for part in form.iter_parts():
        assert isinstance(part, EmailMessage)
        name = str(part.get_param("name", header="content-disposition"))
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        if name == "file":
            audio = payload
        else:
            fields.setdefault(name, []).append(payload.decode())
    return Call(path, authorization, fields, audio, time.monotonic())


def _refusal(status: int, code: str, message: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, "type": "invalid_request_error", "code": code}}


def _bare_word(word: Any) -> dict[str, Any]:  # noqa: ANN401 -- the library has no types
    """Return a word as OpenAI has it: without space and punctuation, and not how sure it is."""
    return {"word": word.word.strip().strip(".,!?;:"), "start": float(word.start), "end": float(word.end)}
