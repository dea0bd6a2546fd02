"""The stock WhisperLive server with one model for all clients. Runs under the Python of the stock environment."""

import argparse
import logging
import os
import sys
import threading

from whisper_live.server import TranscriptionServer  # type: ignore[import-not-found]  # of an environment of its own


def main() -> None:
    """Serve until standard input is closed, which is so at the latest when the process that started this one ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("model", help="directory of a CTranslate2 model")
    parser.add_argument("--batch", action="store_true", help="decode what several clients say together")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--connection-s", type=int, default=7200, help="longest life of a connection")
    told = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    TranscriptionServer().run(
        "127.0.0.1",
        told.port,
        backend="faster_whisper",
        faster_whisper_custom_model_path=told.model,
        single_model=True,
        max_clients=told.clients,
        max_connection_time=told.connection_s,
        batch_enabled=told.batch,
        # Its own admission turns clients away from a busy machine: they would not be measured.
        batch_max_queue_wait_s=3600.0,
        batch_max_admissions_per_s=1000.0,
    )


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
