"""Records the lines of the script with flite, a small speech synthesizer.

Only needed after a change of the script: ``python -m usher.demo.conversation.make_audio``. The recordings are part of
the package; the same flite gives the same files.
"""

import array
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from typing import Final

from usher.demo.conversation import SAMPLE_RATE_HZ, load_script

_SYNTHESIS_S: Final = 60.0
_SILENCE: Final = 300
"""Samples nearer to zero than this are silence (about -41 dB)."""
_EDGE_SAMPLES: Final = SAMPLE_RATE_HZ // 20
"""Kept before the first and after the last sound."""
_PEAK: Final = 26_000
"""Loudest sample of every line, so that the speakers are about equally loud."""


def main() -> None:
    """Record every line anew.

    Raises:
        FileNotFoundError: flite is not installed.
        subprocess.CalledProcessError: flite failed.
        ValueError: flite gave something else than 16-bit mono at 16 kHz.
    """
    script = load_script()
    for line in script.lines:
        line.audio.parent.mkdir(exist_ok=True)
        _write(line.audio, _louder(_trimmed(_say(line.text, script.voices[line.speaker]))))


def _say(text: str, voice: str) -> "array.array[int]":
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        command = ("flite", "-voice", voice, "-t", text, "-o", str(spoken))
        subprocess.run(command, check=True, timeout=_SYNTHESIS_S)  # noqa: S603 - fixed words from the script
        with wave.open(str(spoken), "rb") as recording:
            if (recording.getnchannels(), recording.getsampwidth(), recording.getframerate()) != (1, 2, SAMPLE_RATE_HZ):
                raise ValueError(f"the voice {voice} is not 16-bit mono at 16 kHz")
            return _in_file_order(array.array("h", recording.readframes(recording.getnframes())))


def _trimmed(samples: "array.array[int]") -> "array.array[int]":
    """Cut the silence at both ends: a line ends with its last sound, so that delays are measured from there."""
    loud = [i for i, sample in enumerate(samples) if abs(sample) > _SILENCE]
    return samples[max(0, loud[0] - _EDGE_SAMPLES) : loud[-1] + _EDGE_SAMPLES]


def _louder(samples: "array.array[int]") -> "array.array[int]":
    gain = _PEAK / max(abs(sample) for sample in samples)
    return array.array("h", (round(sample * gain) for sample in samples))


def _write(path: Path, samples: "array.array[int]") -> None:
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(SAMPLE_RATE_HZ)
        recording.writeframes(_in_file_order(samples).tobytes())


def _in_file_order(samples: "array.array[int]") -> "array.array[int]":
    """Swap the bytes where that is needed: WAV files are little-endian, the machine may not be."""
    ordered = samples[:]
    if sys.byteorder == "big":
        ordered.byteswap()
    return ordered


if __name__ == "__main__":
    main()
