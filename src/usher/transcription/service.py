"""The transcription service as a whole: the server with the engine its configuration asks for."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from usher.transcription.config import ServerConfig
from usher.transcription.door import Authenticate
from usher.transcription.engine import Engine
from usher.transcription.engines.faster_whisper import FasterWhisperConfig, FasterWhisperEngine
from usher.transcription.engines.openai import OpenAiEngine
from usher.transcription.server import Server, serve


def make_engine(config: ServerConfig) -> Engine:
    """Makes the engine a server needs; it is not loaded yet.

    Raises:
        EngineError: The URL of the remote service is none.
    """
    if config.remote is not None:
        return OpenAiEngine(config.remote)
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
        EngineError: The model cannot be loaded, or the remote service does not take our calls.
        OSError: The port cannot be opened.
        ExceptionGroup: Something in the server broke: a bug.
    """
    engine = make_engine(config)
    if config.remote is not None:
        # A call waits for another machine: it takes no processor time, and company would only delay it.
        config = replace(config, workers=config.remote.connections, batch_size=1, draft_wait_s=0.0)
    async with serve(config, engine, authenticate=authenticate) as server:
        if started:
            started(server)
        await (stop or asyncio.Event()).wait()
