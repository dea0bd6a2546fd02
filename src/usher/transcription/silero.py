"""Silero voice detection on ONNX Runtime, streaming."""

import importlib.resources
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]  # ships no types

from usher.transcription.pcm import Pcm
from usher.transcription.voice import WINDOW_SAMPLES

_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (1, 1, 128)

_Array = npt.NDArray[np.float32]


class _Session(Protocol):
    def run(self, output_names: None, feed: dict[str, _Array]) -> list[_Array]: ...


class SileroModel:
    """The loaded network, shared by all streams; it holds no state of a stream.

    Source: faster-whisper 1.2 ships the network as `assets/silero_vad_v6.onnx`: inputs `input` (windows in order, each
    with the last 64 samples of the one before in front), `h` and `c` of shape (1, 1, 128), which carry its memory.
    """

    def __init__(self, session: _Session) -> None:
        self._session = session

    @classmethod
    def load(cls) -> "SileroModel":
        """Loads the network that faster-whisper ships. One thread: windows are too small to share out."""
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        network = importlib.resources.files("faster_whisper.assets").joinpath("silero_vad_v6.onnx").read_bytes()
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        return cls(cast("_Session", session))

    def open(self) -> "SileroDetector":
        """Starts a detector with a memory of its own."""
        return SileroDetector(self._session)


class SileroDetector:
    """Voice detection of one stream."""

    def __init__(self, session: _Session) -> None:
        self._session = session
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._h = np.zeros(_STATE_SHAPE, np.float32)
        self._c = np.zeros(_STATE_SHAPE, np.float32)

    def judge(self, windows: Pcm) -> npt.NDArray[np.float32]:
        """See `VoiceDetector.judge`."""
        tails = windows[:, WINDOW_SAMPLES - _CONTEXT_SAMPLES :]
        contexts = np.vstack([self._context[None], tails[:-1]])
        self._context = tails[-1].copy()
        feed = {"input": np.hstack([contexts, windows]), "h": self._h, "c": self._c}
        probabilities, self._h, self._c = self._session.run(None, feed)
        return probabilities
