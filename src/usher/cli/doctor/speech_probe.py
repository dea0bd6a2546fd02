"""Loads a speech model and transcribes a beep; says how long that took. Run as a process of its own."""

import sys
import time

import numpy as np
from faster_whisper import WhisperModel  # type: ignore[import-untyped]  # it ships no types

_RATE_HZ = 16_000
_BEEP_HZ = 440.0


def main(model_path: str) -> None:
    """Transcribe one second of a tone with the model at this path, and print the timings."""
    started = time.monotonic()
    model = WhisperModel(model_path, device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
    loaded = time.monotonic()
    tone = 0.1 * np.sin(2 * np.pi * _BEEP_HZ * np.arange(_RATE_HZ) / _RATE_HZ)
    segments, _ = model.transcribe(tone.astype(np.float32), language="en", beam_size=1)
    list(segments)
    sys.stdout.write(f"loads in {loaded - started:.1f} s, hears a second in {time.monotonic() - loaded:.1f} s\n")


if __name__ == "__main__":
    main(sys.argv[1])
