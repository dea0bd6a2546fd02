"""A service of OpenAI's form that fails in all the ways it can."""

import json
import time
import wave
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from structlog.testing import capture_logs
from tests.support.openai_server import Fault, OpenAiServer, openai_server

from usher.protocol.whisper import Task
from usher.transcription.config import RemoteConfig
from usher.transcription.engine import Doubt, EngineError, Job, Quality
from usher.transcription.engines.languages import LANGUAGES, find_code
from usher.transcription.engines.openai import OpenAiEngine, wav
from usher.transcription.engines.openai_answer import read_answer
from usher.transcription.engines.openai_calls import Refused

AUDIO = np.full(8000, 0.25, np.float32)


def job(**more: object) -> Job:
    given: dict[str, object] = {"language": "en", "task": Task.TRANSCRIBE, "quality": Quality.FINAL}
    return Job(AUDIO, **(given | more))  # type: ignore[arg-type]  # the tests' own fields


def engine(service: OpenAiServer, *, key: str | None = None, timeout_s: float = 20.0) -> OpenAiEngine:
    return OpenAiEngine(RemoteConfig(service.url, key=key, model="m", timeout_s=timeout_s))


def test_what_is_sent() -> None:
    with openai_server(key="secret") as service:
        speech = engine(service, key="secret")
        speech.transcribe([job(prompt="Jane Austen.", hotwords="amiable", words=True), job(language=None)])
        speech.transcribe([job(task=Task.TRANSLATE, words=True)])
    first, second, third = service.calls
    assert first.path == second.path == "/v1/audio/transcriptions"
    assert first.authorization == "Bearer secret"
    assert first.fields == {
        "model": ["m"],
        "response_format": ["verbose_json"],
        "prompt": ["amiable Jane Austen."],
        "language": ["en"],
        "timestamp_granularities[]": ["word", "segment"],
    }
    assert second.fields == {"model": ["m"], "response_format": ["verbose_json"]}
    assert (third.path, third.fields) == ("/v1/audio/translations", second.fields)
    with wave.open(BytesIO(first.audio)) as sent:
        assert (sent.getframerate(), sent.getnchannels(), sent.getsampwidth()) == (16_000, 1, 2)
        assert np.frombuffer(sent.readframes(9000), "<i2").tolist() == [8191] * 8000


def test_loud_samples_are_clipped_not_wrapped() -> None:
    with wave.open(BytesIO(wav(np.array([2.0, -2.0], np.float32)))) as sent:
        assert np.frombuffer(sent.readframes(2), "<i2").tolist() == [32767, -32767]


@pytest.mark.parametrize(
    "fault", [Fault(429, headers={"Retry-After": "0.3"}), Fault(500), Fault(503), Fault(cut=True), Fault(529)]
)
def test_what_passes_is_tried_again(fault: Fault) -> None:
    with openai_server() as service:
        service.faults.append(fault)
        (result,) = engine(service).transcribe([job()])
        assert result.text == "heard"
        assert len(service.calls) == 2
        waited_s = service.calls[1].at - service.calls[0].at
        assert waited_s >= (0.3 if fault.headers else 0.5)


def test_pauses_between_tries_grow() -> None:
    with openai_server() as service:
        service.faults.extend([Fault(500)] * 3)
        engine(service).transcribe([job()])
        times = [call.at for call in service.calls]
        gaps = [after - before for before, after in pairwise(times)]
        assert len(gaps) == 3
        assert gaps[0] >= 0.5
        assert gaps[1] >= 1.0
        assert gaps[2] >= 2.0


def test_a_service_that_says_to_come_back_after_the_jobs_time_is_not_waited_for() -> None:
    with openai_server() as service:
        service.faults.append(Fault(429, headers={"Retry-After": "600"}))
        began = time.monotonic()
        with pytest.raises(EngineError, match="answered 429 made_for_a_test"):
            engine(service).transcribe([job()])
        assert time.monotonic() - began < 15.0
        assert len(service.calls) == 1


@pytest.mark.parametrize("fault", [Fault(hang_s=30.0), Fault(drip_s=0.2)], ids=["hangs", "drips"])
def test_a_service_that_does_not_answer_in_time_is_given_up(fault: Fault) -> None:
    with openai_server() as service:
        service.faults.append(fault)
        began = time.monotonic()
        with pytest.raises(EngineError, match="in time"):
            engine(service, timeout_s=1.0).transcribe([job()])
        assert time.monotonic() - began < 15.0


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b'{"text": 5}', b'{"segments": []}', b"", b"\xff\xfe"])
def test_nonsense_is_an_error(body: bytes) -> None:
    with openai_server() as service:
        service.faults.append(Fault(200, body=body))
        with pytest.raises(EngineError, match="an answer that is none"):
            engine(service).transcribe([job()])


def test_an_endless_answer_is_an_error() -> None:
    with openai_server() as service:
        service.faults.append(Fault(200, body=b"x" * (2 << 20)))
        with pytest.raises(EngineError, match="too long"):
            engine(service).transcribe([job()])


def test_a_wrong_key_is_told_once_and_never_shown() -> None:
    with openai_server(key="right") as service, capture_logs() as logs:
        with pytest.raises(Refused, match="401 invalid_api_key: the key is missing or wrong") as refusal:
            engine(service, key="sk-very-secret").load()
        assert len(service.calls) == 1
    assert "sk-very-secret" not in str(refusal.value) + json.dumps(logs, default=str) + repr(
        RemoteConfig("u", "sk-very-secret")
    )


def test_what_was_said_is_in_no_log() -> None:
    with openai_server() as service, capture_logs() as logs:
        service.faults.extend([Fault(500, body=b'{"error": {"message": "Kowalski", "code": "Kowalski was here"}}')] * 2)
        engine(service).transcribe([job(prompt="Kowalski")])
    assert [entry["event"] for entry in logs] == ["speech_service_not_now"] * 2
    assert "Kowalski" not in json.dumps(logs)


def test_a_service_without_details_is_asked_for_them_once() -> None:
    with openai_server(knows_verbose=False) as service:
        speech = engine(service)
        assert [result.text for result in speech.transcribe([job(words=True), job()])] == ["heard"] * 2
        forms = [call.fields["response_format"] for call in service.calls]
        assert forms == [["verbose_json"], ["json"], ["json"]]


def test_one_job_that_is_refused_in_either_form_does_not_change_the_form() -> None:
    with openai_server() as service:
        speech = engine(service)
        service.faults.extend([Fault(400), Fault(400)])
        with pytest.raises(Refused, match="400"):
            speech.transcribe([job()])
        speech.transcribe([job()])
        assert service.calls[-1].fields["response_format"] == ["verbose_json"]


def test_nobody_there() -> None:
    with openai_server() as service:
        url = service.url
    with pytest.raises(EngineError, match="cannot be reached"):
        OpenAiEngine(RemoteConfig(url, timeout_s=0.4)).load()


@pytest.mark.parametrize("url", ["", "api.openai.com/v1", "ftp://host/v1", "https://", "http://[::1"])
def test_a_url_that_is_none_is_found_at_once(url: str) -> None:
    with pytest.raises(EngineError, match="URL"):
        OpenAiEngine(RemoteConfig(url))


def test_an_answer_of_openai_is_read() -> None:
    answer = {
        "text": " Ask  not, friend.",
        "language": "english",
        "segments": [
            {"avg_logprob": -0.2, "no_speech_prob": 0.9, "tokens": [1, 2, 3]},
            {"avg_logprob": -0.6, "no_speech_prob": 0.1, "tokens": [4]},
        ],
        "words": [{"word": word, "start": 0.1, "end": 0.2} for word in ("Ask", "not", "friend")],
    }
    result = read_answer(answer, job(language=None, words=True))
    assert (result.text, result.language, result.language_prob) == ("Ask not, friend.", "en", 0.5)
    assert result.avg_logprob == pytest.approx(-0.3)
    assert result.no_speech_prob == pytest.approx(0.1)
    assert [word.text for word in result.words] == ["Ask", " not,", " friend."]
    assert result.words[0].probability == pytest.approx(np.exp(-0.3))


def test_words_may_be_in_the_segments_with_their_probability() -> None:
    answer = {
        "text": "Ask not",
        "language": "en",
        "language_probability": 0.97,
        "segments": [{"words": [{"word": " Ask", "start": 0, "end": 1, "probability": 0.5}]}, {"words": None}],
    }
    answer["segments"][1]["words"] = [{"word": " not", "start": 1, "end": 2, "probability": 0.25}]  # type: ignore[index]  # JSON
    result = read_answer(answer, job(language=None, words=True))
    assert [(word.text, word.probability) for word in result.words] == [("Ask", 0.5), (" not", 0.25)]
    assert result.language_prob == pytest.approx(0.97)


def test_the_language_of_a_translation_is_not_the_one_that_was_spoken() -> None:
    result = read_answer({"text": "Good day", "language": "english"}, job(language=None, task=Task.TRANSLATE))
    assert (result.language, result.language_prob) == ("", 0.0)


def test_a_loop_is_doubtful() -> None:
    assert read_answer({"text": "so " * 40}, job()).doubt is Doubt.LOOPING


@pytest.mark.parametrize(
    ("named", "code"), [("english", "en"), ("German", "de"), ("yue", "yue"), ("haitian creole", "ht"), ("elvish", None)]
)
def test_languages_are_known_by_code_and_by_name(named: str, code: str | None) -> None:
    assert find_code(named) == code


def test_the_languages_are_those_of_the_local_model() -> None:
    from faster_whisper.tokenizer import _LANGUAGE_CODES  # type: ignore[import-untyped]  # ships no types

    assert set(LANGUAGES) == set(_LANGUAGE_CODES)
