"""The REST side of the stock WhisperLive server, on the loopback address. Runs under the Python of its environment."""

import os
import sys
import threading
from typing import Any

import uvicorn
from whisper_live.server import TranscriptionServer  # type: ignore[import-not-found]  # of an environment of its own


def main(port: str, model: str) -> None:
    """Serve until standard input is closed, which is so at the latest when the process that started this one ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server = TranscriptionServer()
    server.default_model = model
    # Its own start would listen on every address of the machine.
    app: Any = server.build_rest_app("faster_whisper", faster_whisper_custom_model_path=model)
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning")


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
