"""The speech service over real sockets, with the scripted engine and a detector that takes what is loud for speech."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.request import urlopen

import numpy as np
from tests.support.speech_clips import Pcm

from usher.protocol.credentials import BotIdentity
from usher.transcription.config import ServerConfig
from usher.transcription.door import Authenticate
from usher.transcription.engine import Engine, Job
from usher.transcription.engines.scripted import ScriptedEngine
from usher.transcription.server import Server, serve
from usher.transcription.voice import LoudnessDetector

CONFIG = ServerConfig(port=0)


def tone(duration_s: float, level: float = 0.5) -> Pcm:
    return np.full(round(duration_s * 16_000), level, np.float32)


def gap(duration_s: float = 1.0) -> Pcm:
    return tone(duration_s, 0.0)


def loudness(job: Job) -> str:
    """Says the level of the tone, so that a text shows which audio it came from."""
    return f"level {np.max(job.audio):.1f}"


@contextlib.asynccontextmanager
async def running(
    engine: Engine | None = None, config: ServerConfig = CONFIG, authenticate: Authenticate | None = None
) -> AsyncIterator[Server]:
    engine = engine or ScriptedEngine(say=loudness)
    async with serve(config, engine, detect=LoudnessDetector, authenticate=authenticate) as server:
        yield server


def only_right(token: str | None) -> BotIdentity | None:
    """Knows one token, which is bad for comparing it like this anywhere but in a test."""
    return BotIdentity(1, "test") if token == "right" else None


def fetch(port: int, page: str) -> str:
    """Gets a page of the service; blocks."""
    with urlopen(f"http://127.0.0.1:{port}{page}", timeout=10) as answer:
        return str(answer.read().decode())


def fetch_health(port: int) -> dict[str, Any]:
    """Gets what the service says of itself; blocks."""
    found: dict[str, Any] = json.loads(fetch(port, "/health"))
    return found
