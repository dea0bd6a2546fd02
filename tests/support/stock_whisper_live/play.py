"""The stock WhisperLive clients playing a recording. Runs under the Python of the stock environment.

What they heard is the last line of the output, as JSON.
"""

import argparse
import json
import sys
import time
import wave
from contextlib import suppress
from pathlib import Path
from typing import Any

from websocket import (  # type: ignore[import-not-found]  # of an environment of its own
    WebSocketConnectionClosedException,
)
from whisper_live.client import (  # type: ignore[import-not-found]  # of an environment of its own
    StreamingTranscriptionClient,
    TranscriptionClient,
)

_SAID = "said: "
_CHUNK = 4096


def main() -> None:
    """Play, and say what was heard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("how", choices=["file", "stream"])
    parser.add_argument("port", type=int)
    parser.add_argument("recording", type=Path, help="16 kHz mono 16-bit WAV")
    parser.add_argument("--options", type=json.loads, default={}, help="of the client, a JSON object")
    parser.add_argument("--patience-s", type=float, default=15.0, help="without news, before the end of a file")
    told = parser.parse_args()
    play = _play_file if told.how == "file" else _play_stream
    sys.stdout.write(f"{_SAID}{json.dumps(play(told))}\n")


def _play_file(told: argparse.Namespace) -> dict[str, Any]:
    """Play in real time as the client does it itself, which then writes subtitles."""
    subtitles = told.recording.with_suffix(".srt")
    client = TranscriptionClient(
        "127.0.0.1",
        told.port,
        model="base",
        log_transcription=False,
        mute_audio_playback=True,
        output_transcription_path=str(subtitles),
        **told.options,
    )
    client.client.disconnect_if_no_response_for = told.patience_s
    returned = client(str(told.recording))
    return {
        "transcript": client.client.transcript,
        "returned": returned,
        "language": client.client.language,
        "subtitles": subtitles.read_text() if subtitles.exists() else None,
    }


def _play_stream(told: argparse.Namespace) -> dict[str, Any]:
    """Send four times as fast as it was spoken, and say that this is all right after the last sample."""
    partial: list[str] = []
    committed: list[str] = []
    closed: list[bool] = []
    client = StreamingTranscriptionClient(
        "127.0.0.1",
        told.port,
        model="base",
        on_partial_transcript=lambda text, _: partial.append(text),
        on_committed_transcript=lambda text, _: committed.append(text),
        on_close=lambda: closed.append(True),
        **told.options,
    )
    # The server may end the connection first: then there is nothing to send any more, nor to close.
    with wave.open(str(told.recording)) as recording, suppress(WebSocketConnectionClosedException):
        client.connect()
        while pcm := recording.readframes(_CHUNK):
            client.send(pcm)
            time.sleep(_CHUNK / recording.getframerate() / 4)
        client.close()
    return {"transcript": client.transcript, "partial": partial, "committed": committed, "closed": bool(closed)}


if __name__ == "__main__":
    main()
