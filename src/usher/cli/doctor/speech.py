"""Check of the speech model: it loads, and listens to a beep without failing."""

import sys
from pathlib import Path

from usher.adapters.embedded.commands import run_command
from usher.adapters.embedded.model import find_model
from usher.cli.doctor.finding import Finding
from usher.domain.errors import UsherError

_SPEECH_S = 180.0
_REMEDY = "Install the model again (remove its directory, then `make setup`), or set USHER_TRANSCRIPTION__MODEL."


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
