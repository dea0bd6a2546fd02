"""Checks of what transcribes: the model loads and listens to a beep, or the service answers."""

import asyncio
import sys
from pathlib import Path

from usher.adapters.embedded.commands import run_command
from usher.adapters.embedded.model import find_model
from usher.cli.doctor.finding import Finding
from usher.domain.errors import UsherError
from usher.transcription.config import RemoteConfig

_SPEECH_S = 180.0
_REMEDY = "Install the model again (remove its directory, then `make setup`), or set USHER_TRANSCRIPTION__MODEL."
_REMOTE_REMEDY = "Look at USHER_TRANSCRIPTION__REMOTE_URL, …__REMOTE_KEY and …__REMOTE_MODEL."


async def check_speech(configured: Path | None, cache_dir: Path) -> Finding:
    """Transcribe a beep, in a process of its own: on a processor that it is not made for, the engine ends it."""
    try:
        model = find_model(configured, cache_dir)
    except UsherError as error:
        return Finding.of_error("speech model", error)
    outcome = await run_command(sys.executable, "-m", "usher.cli.doctor.speech_probe", str(model), timeout_s=_SPEECH_S)
    if not outcome.ok:
        return Finding("speech model", False, f"{model}: {outcome.said or 'the engine ended without a word'}", _REMEDY)
    return Finding("speech model", True, f"{model}: {outcome.said}")


async def check_remote_speech(remote: RemoteConfig) -> Finding:
    """Have half a second of silence transcribed by the service that is set."""
    try:
        from usher.transcription.engine import EngineError  # noqa: PLC0415 -- need not be installed beside a manager
        from usher.transcription.engines.openai import OpenAiEngine  # noqa: PLC0415 -- as above
    except ImportError as error:
        return Finding("speech service", False, f"Not installed: {error}", "Install `usher-bots[transcription]`.")
    try:
        await asyncio.to_thread(OpenAiEngine(remote).load)
    except EngineError as error:
        return Finding("speech service", False, str(error), _REMOTE_REMEDY)
    return Finding("speech service", True, f"{remote.url} transcribes with {remote.model}")
