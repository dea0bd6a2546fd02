"""Speech recognition by a service with the audio API of OpenAI: OpenAI itself, or any server of that form."""

import io
import json
import wave
from enum import StrEnum

import numpy as np
import structlog

from usher.protocol.whisper import SAMPLE_RATE_HZ, Task
from usher.transcription.config import RemoteConfig
from usher.transcription.engine import EngineError, Job, Quality, Result
from usher.transcription.engines.languages import LANGUAGES
from usher.transcription.engines.openai_answer import read_answer
from usher.transcription.engines.openai_calls import Endpoint, Refused
from usher.transcription.pcm import Pcm

log = structlog.get_logger(__name__)

_UNFIT = frozenset({400, 415, 422})
"""Statuses by which a service says that it does not know a field or a value."""

Fields = dict[str, str | list[str]]


class AnswerForm(StrEnum):
    """Forms of an answer."""

    VERBOSE = "verbose_json"
    PLAIN = "json"


class OpenAiEngine:
    """See `Engine`. Audio goes out as WAV, 16 bit; a call that fails for now is made again within the job's time.

    Source: https://platform.openai.com/docs/api-reference/audio: `verbose_json` has segments with `avg_logprob` and
    `no_speech_prob`, and words on request. The `gpt-4o-*transcribe` models answer 400 to it and know `json` alone
    (openai/openai-dotnet#401). Translations take neither a language nor granularities.
    """

    def __init__(self, config: RemoteConfig) -> None:
        """Prepares the calls.

        Args:
            config: Where the service is and how long it is waited for.

        Raises:
            EngineError: The URL is none.
        """
        self._config = config
        self._endpoint = Endpoint(config)
        self._form = AnswerForm.VERBOSE

    @property
    def backend(self) -> str:
        """See `Engine.backend`. Stock clients keep completed segments only from a backend of this name."""
        return "faster_whisper"

    @property
    def languages(self) -> frozenset[str]:
        """See `Engine.languages`: those that Whisper knows."""
        return frozenset(LANGUAGES)

    def load(self) -> None:
        """See `Engine.load`: has half a second of silence transcribed, so that a wrong setting is found at once."""
        silence = np.zeros(SAMPLE_RATE_HZ // 2, np.float32)
        self.transcribe([Job(silence, "en", Task.TRANSCRIBE, Quality.FINAL)])
        log.info("speech_service_answers", host=self._endpoint.host, model=self._config.model, form=self._form.value)

    def transcribe(self, jobs: list[Job]) -> list[Result]:
        """See `Engine.transcribe`. One call for each job, one after the other."""
        return [self._transcribe(job) for job in jobs]

    def _transcribe(self, job: Job) -> Result:
        body = self._ask(job)
        try:
            return read_answer(json.loads(body), job)
        except ValueError as error:
            raise EngineError(f"the speech service {self._endpoint.host} gave an answer that is none") from error

    def _ask(self, job: Job) -> bytes:
        """Asks in the form that says most; once that was refused and the other was not, in the other for good."""
        form = self._form
        path = "/audio/translations" if job.task is Task.TRANSLATE else "/audio/transcriptions"
        audio = wav(job.audio)
        try:
            return self._endpoint.post(path, self._fields(job, form), audio)
        except Refused as refusal:
            if refusal.status not in _UNFIT or form is AnswerForm.PLAIN:
                raise
            body = self._endpoint.post(path, self._fields(job, AnswerForm.PLAIN), audio)
            self._form = AnswerForm.PLAIN
            log.info("speech_service_tells_no_details", host=self._endpoint.host, status=refusal.status)
            return body

    def _fields(self, job: Job, form: AnswerForm) -> Fields:
        fields: Fields = {"model": self._config.model, "response_format": form.value}
        if prompt := " ".join(filter(None, (job.hotwords, job.prompt))):
            fields["prompt"] = prompt
        if job.task is Task.TRANSLATE:
            return fields
        if job.language:
            fields["language"] = job.language
        if job.wants_words and form is AnswerForm.VERBOSE:
            fields["timestamp_granularities[]"] = ["word", "segment"]
        return fields


def wav(audio: Pcm) -> bytes:
    """Writes samples as a WAV file: 16 bit, mono, 16 kHz."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes((np.clip(audio, -1.0, 1.0) * 32767).astype("<i2").tobytes())
    return out.getvalue()
