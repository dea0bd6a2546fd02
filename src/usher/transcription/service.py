"""The transcription service as a whole: the server with the engine its configuration asks for."""

import asyncio
from collections.abc import Callable

from usher.transcription.config import ServerConfig
from usher.transcription.door import Authenticate
from usher.transcription.engines.faster_whisper import FasterWhisperConfig, FasterWhisperEngine
from usher.transcription.server import Server, serve


def make_engine(config: ServerConfig) -> FasterWhisperEngine:
    """Makes the engine a server needs; it is not loaded yet."""
    return FasterWhisperEngine(
        FasterWhisperConfig(
            model=config.model,
            device=config.device,
            compute_type=config.compute_type,
            workers=config.workers,
            beam_size=config.beam_size,
        )
    )


async def run(
    config: ServerConfig,
    *,
    authenticate: Authenticate | None = None,
    stop: asyncio.Event | None = None,
    started: Callable[[Server], None] | None = None,
) -> None:
    """Serves until `stop` is set or the caller cancels; either way open streams are finalised first.

    Args:
        config: Address, model and limits.
        authenticate: Checks tokens; everybody may come in when left out.
        stop: Ends the service when set.
        started: Called once the port is open, with the server.

    Raises:
        EngineError: The model cannot be loaded.
        OSError: The port cannot be opened.
        ExceptionGroup: Something in the server broke: a bug.
    """
    async with serve(config, make_engine(config), authenticate=authenticate) as server:
        if started:
            started(server)
        await (stop or asyncio.Event()).wait()
