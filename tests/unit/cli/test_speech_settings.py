"""What the settings make of the speech service."""

import pytest
from pydantic import SecretStr
from tests.support.openai_server import openai_server

from usher.cli.doctor.speech import check_remote_speech
from usher.cli.speech import serve_speech
from usher.cli.speech_settings import remote_config, server_config
from usher.domain.errors import Invalid, Unavailable
from usher.settings import Settings, TranscriptionSettings
from usher.transcription.config import RemoteConfig


def remote(url: str | None, key: str | None = None) -> TranscriptionSettings:
    return TranscriptionSettings(
        engine="openai", remote_url=url, remote_key=SecretStr(key) if key else None, port=0, remote_timeout_s=5.0
    )


def test_a_model_on_this_machine_shows_partial_texts_and_a_service_does_not() -> None:
    assert server_config(TranscriptionSettings()).endpoint.partial_every_s == pytest.approx(0.9)
    assert server_config(TranscriptionSettings()).remote is None
    assert server_config(remote("https://host/v1")).endpoint.partial_every_s == 0.0
    wanted = remote("https://host/v1").model_copy(update={"partial_every_s": 3.0})
    assert server_config(wanted).endpoint.partial_every_s == pytest.approx(3.0)


def test_what_is_told_of_a_service() -> None:
    config = remote_config(remote("https://host/v1", "secret"))
    assert config == RemoteConfig("https://host/v1", key="secret", model="whisper-1", connections=8, timeout_s=5.0)
    assert "secret" not in repr(config)


async def test_a_service_without_a_url_is_an_error_at_the_start() -> None:
    with pytest.raises(Invalid, match="USHER_TRANSCRIPTION__REMOTE_URL"):
        await serve_speech(Settings(transcription=remote(None)))


async def test_a_service_that_refuses_us_is_an_error_at_the_start() -> None:
    with openai_server(key="right") as service, pytest.raises(Unavailable, match="the key is missing or wrong"):
        await serve_speech(Settings(transcription=remote(service.url, "wrong")))


async def test_the_doctor_tries_the_service() -> None:
    with openai_server(key="right") as service:
        good = await check_remote_speech(RemoteConfig(service.url, key="right"))
        bad = await check_remote_speech(RemoteConfig(service.url, key="wrong", timeout_s=2.0))
    assert (good.ok, bad.ok) == (True, False)
    assert "401" in bad.detail
    assert "REMOTE_KEY" in bad.remedy
    assert "wrong" not in bad.detail.replace("missing or wrong", "")
