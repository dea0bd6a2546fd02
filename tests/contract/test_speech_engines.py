"""What every speech engine does, whatever it is made of."""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.support.openai_server import openai_server
from tests.support.speech_clips import clip, transcripts
from tests.support.stock_rest import stock_rest_server
from tests.support.wer import word_error_rate

from usher.protocol.whisper import SAMPLE_RATE_HZ, Task
from usher.transcription.config import RemoteConfig
from usher.transcription.engine import Engine, EngineError, Job, Quality, Result
from usher.transcription.engines.faster_whisper import FasterWhisperConfig, FasterWhisperEngine
from usher.transcription.engines.openai import OpenAiEngine
from usher.transcription.engines.scripted import ScriptedEngine

pytestmark = pytest.mark.timeout(300)

SPOKEN = transcripts()
CLIPS = ("lv_0890.wav", "lv_0930.wav", "libri_7902.wav")


@dataclass(frozen=True)
class World:
    """An engine, and one of the same kind that cannot work.

    Attributes:
        hears_words: Whether it knows when each word was said.
    """

    engine: Engine
    broken: Engine
    hears_words: bool = True


def script(job: Job) -> str:
    """Knows the clips by their length."""
    for name, text in SPOKEN.items():
        if len(job.audio) == len(clip(name)):
            return text.capitalize() + "."
    return ""


def fail(_: Job) -> str:
    raise EngineError("scripted to fail")


@contextlib.contextmanager
def scripted(_: Path) -> Iterator[World]:
    yield World(ScriptedEngine(script), ScriptedEngine(fail))


@contextlib.contextmanager
def faster_whisper(model: Path) -> Iterator[World]:
    missing = FasterWhisperEngine(FasterWhisperConfig(str(model / "not-here")))
    yield World(FasterWhisperEngine(FasterWhisperConfig(str(model))), missing)


@contextlib.contextmanager
def openai(model: Path) -> Iterator[World]:
    with openai_server(model, key="k") as service:
        refused = OpenAiEngine(RemoteConfig(service.url, key="another", timeout_s=5.0))
        yield World(OpenAiEngine(RemoteConfig(service.url, key="k", timeout_s=120.0)), refused)


@contextlib.contextmanager
def openai_without_details(model: Path) -> Iterator[World]:
    with openai_server(model, knows_verbose=False) as service:
        gone = OpenAiEngine(RemoteConfig(service.url.replace("/v1", "/v2"), timeout_s=5.0))
        yield World(OpenAiEngine(RemoteConfig(service.url, timeout_s=120.0)), gone, hears_words=False)


@contextlib.contextmanager
def stock_whisper_live(model: Path) -> Iterator[World]:
    """Its server does not know the name under which OpenAI asks for words."""
    with stock_rest_server(model) as url:
        gone = OpenAiEngine(RemoteConfig(url.replace("/v1", "/v2"), timeout_s=5.0))
        yield World(OpenAiEngine(RemoteConfig(url, timeout_s=120.0)), gone, hears_words=False)


WORLDS: dict[str, Callable[[Path], contextlib.AbstractContextManager[World]]] = {
    "scripted": scripted,
    "faster_whisper": faster_whisper,
    "openai": openai,
    "openai_without_details": openai_without_details,
    "stock_whisper_live": stock_whisper_live,
}


@pytest.fixture(scope="module", params=WORLDS)
def world(request: pytest.FixtureRequest, speech_model: Path) -> Iterator[World]:
    with WORLDS[request.param](speech_model) as world:
        world.engine.load()
        yield world


def job(name: str, *, language: str | None = "en", quality: Quality = Quality.FINAL, words: bool = False) -> Job:
    return Job(clip(name), language, Task.TRANSCRIBE, quality, words=words)


def check(result: Result, name: str) -> None:
    assert word_error_rate(SPOKEN[name], result.text) <= 0.15, result.text
    assert result.text == result.text.strip()


def test_loading_again_changes_nothing_and_languages_are_known(world: World) -> None:
    world.engine.load()
    assert {"en", "de", "fr", "es"} <= world.engine.languages


def test_there_is_a_text_for_each_job_in_order(world: World) -> None:
    results = world.engine.transcribe([job(name) for name in CLIPS])
    assert len(results) == len(CLIPS)
    for name, result in zip(CLIPS, results, strict=True):
        check(result, name)
        assert (result.language, result.language_prob) == ("en", 1.0)
        assert 0.0 <= result.no_speech_prob <= 0.45
        assert -1.0 < result.avg_logprob <= 0.0
        assert result.words == ()


def test_drafts_are_texts_too(world: World) -> None:
    (result,) = world.engine.transcribe([job("lv_0930.wav", quality=Quality.DRAFT, words=True)])
    check(result, "lv_0930.wav")
    assert result.words == ()


def test_a_language_that_is_not_given_is_found_or_said_to_be_unknown(world: World) -> None:
    (result,) = world.engine.transcribe([job("lv_0890.wav", language=None)])
    assert (result.language, result.language_prob > 0) in {("en", True), ("", False)}
    assert result.language_prob < 1.0


def test_words_make_up_the_text_and_follow_each_other_within_the_audio(world: World) -> None:
    for name in CLIPS:
        (result,) = world.engine.transcribe([job(name, words=True)])
        check(result, name)
        if not world.hears_words:
            assert result.words == ()
            continue
        assert "".join(word.text for word in result.words) == result.text
        assert len(result.words) >= len(result.text.split())
        assert all(0.0 <= word.start_s <= word.end_s <= len(clip(name)) / SAMPLE_RATE_HZ for word in result.words)
        assert all(word.start_s <= following.start_s for word, following in pairwise(result.words))
        assert all(0.0 < word.probability <= 1.0 for word in result.words)


def test_several_threads_get_their_own_texts(world: World) -> None:
    with ThreadPoolExecutor(3) as pool:
        batches = list(pool.map(lambda name: world.engine.transcribe([job(name)]), CLIPS))
    for name, (result,) in zip(CLIPS, batches, strict=True):
        check(result, name)


def test_a_very_short_audio_does_no_harm(world: World) -> None:
    audio = np.random.default_rng(3).normal(0, 0.01, SAMPLE_RATE_HZ // 5).astype(np.float32)
    assert len(world.engine.transcribe([Job(audio, "en", Task.TRANSCRIBE, Quality.FINAL, words=True)])) == 1


def test_an_engine_that_cannot_work_says_so(world: World) -> None:
    with pytest.raises(EngineError):
        _use(world.broken)


def _use(engine: Engine) -> None:
    engine.load()
    engine.transcribe([job("lv_0930.wav")])
