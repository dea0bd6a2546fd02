"""Features are those the model was trained on."""

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor  # type: ignore[import-untyped]  # ships no types
from tests.support.speech_clips import clip

from usher.transcription.engines.features import LogMel
from usher.transcription.pcm import Pcm


@pytest.mark.parametrize(
    "pcm",
    [clip("libri_7902.wav"), np.zeros(16_000, np.float32), np.full(401, 0.5, np.float32)],
    ids=["speech", "silence", "short"],
)
@pytest.mark.parametrize("mels", [80, 128])
def test_features_equal_those_of_the_reference(pcm: Pcm, mels: int) -> None:
    reference = FeatureExtractor(feature_size=mels)
    features = LogMel(reference.mel_filters)(pcm)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, reference(pcm), atol=1e-4)
