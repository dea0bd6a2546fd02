"""From the samples of one stream to its transcript: utterances, decoding settings, partial texts."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from usher.protocol.whisper import ClientOptions, Configure, LanguageDetected, Problem, Task
from usher.transcription.endpoint import Clip, Endpointer, Stage
from usher.transcription.engine import Doubt, Job, Quality, Result, Word
from usher.transcription.lane import Lane, Request
from usher.transcription.language import LanguageEvidence
from usher.transcription.pcm import Pcm, seconds
from usher.transcription.phantoms import is_made_up
from usher.transcription.timing import fit_words, shift_words
from usher.transcription.transcript import Transcript

log = structlog.get_logger(__name__)

Notice = LanguageDetected | Problem


@dataclass(slots=True, eq=False)
class Settings:
    """How speech is decoded from one `configure` to the next; shared by the utterances spoken in between.

    Attributes:
        language: Language spoken; None until it is detected.
        task: Transcribe or translate.
        evidence: What speaks for which language, while there is none.
    """

    language: str | None
    task: Task
    evidence: LanguageEvidence = field(default_factory=LanguageEvidence)


class SpeechStream:
    """One stream of speech. Belongs to the event loop."""

    def __init__(
        self,
        options: ClientOptions,
        *,
        endpointer: Endpointer,
        transcript: Transcript,
        lane: Lane,
        changed: Callable[[], None],
    ) -> None:
        """Starts a stream.

        Args:
            options: What its client asked for.
            endpointer: Finds its utterances.
            transcript: Takes its texts.
            lane: Gets its texts.
            changed: Called when there is something to tell the client. Must not block.
        """
        self._options = options
        self._endpointer = endpointer
        self._transcript = transcript
        self._lane = lane
        self._changed = changed
        self._settings = Settings(options.language, options.task)
        self._notices: list[Notice] = []

    def hear(self, pcm: Pcm) -> None:
        """Takes the next samples: float32 mono 16 kHz, shape (samples,)."""
        self._submit(self._endpointer.feed(pcm))

    def configure(self, change: Configure) -> Settings:
        """Changes how the speech to come is decoded. What was said before is ended and decoded as it was meant."""
        self._submit(self._endpointer.cut())
        language = change.language if "language" in change.model_fields_set else self._settings.language
        self._settings = Settings(language, change.task or self._settings.task)
        return replace(self._settings)

    def finish(self) -> None:
        """Ends the stream: what is open becomes final."""
        self._submit(self._endpointer.flush())

    def take_notices(self) -> list[Notice]:
        """Hands out what the client must be told beside its segments."""
        notices, self._notices = self._notices, []
        return notices

    def _submit(self, clips: list[Clip]) -> None:
        for clip in clips:
            request = self._request(clip, self._settings)
            if clip.stage is Stage.ENDED:
                self._lane.finish(request)
            else:
                self._lane.draft(request)

    def _request(self, clip: Clip, settings: Settings) -> Request:
        quality = Quality.DRAFT if clip.stage is Stage.GROWN else Quality.FINAL
        return Request(
            utterance=clip.utterance,
            stop=clip.stop,
            size=len(clip.audio),
            quality=quality,
            build=functools.partial(self._job, clip, settings, quality),
            deliver=functools.partial(self._tell, clip, settings),
        )

    def _job(self, clip: Clip, settings: Settings, quality: Quality) -> Job:
        return Job(
            audio=clip.audio,
            language=settings.language,
            task=settings.task,
            quality=quality,
            prompt=self._options.initial_prompt,
            hotwords=self._options.hotwords,
            words=bool(self._options.word_timestamps),
        )

    def _tell(self, clip: Clip, settings: Settings, result: Result | None, final: bool) -> None:
        if result is None:
            self._report_failure(clip, settings)
        elif final or result.doubt is Doubt.NONE:
            heard = self._without_phantoms(clip, result)
            self._revise(clip, heard, final=final)
            if final:
                self._learn_language(settings, heard, speech_s=seconds(clip.voiced))
        self._changed()

    def _without_phantoms(self, clip: Clip, result: Result) -> Result:
        """Takes the text away if nobody said it."""
        threshold = self._options.no_speech_thresh
        if is_made_up(result, speech_s=seconds(clip.voiced), no_speech_threshold=threshold):
            return replace(result, text="", words=())
        return result

    def _revise(self, clip: Clip, result: Result, *, final: bool) -> None:
        self._transcript.revise(
            utterance=clip.utterance,
            start=clip.start,
            end=clip.end,
            text=result.text,
            language=result.language,
            completed=final,
            words=_place(result.words, clip),
        )

    def _learn_language(self, settings: Settings, result: Result, *, speech_s: float) -> None:
        """Keeps a detected language for the rest of the stream, once it is sure enough."""
        if settings.language is not None or not settings.evidence.is_settled_by(result, speech_s=speech_s):
            return
        settings.language = result.language
        uid = self._options.uid
        notice = LanguageDetected(uid=uid, language=result.language, language_prob=round(result.language_prob, 4))
        self._notices.append(notice)

    def _report_failure(self, clip: Clip, settings: Settings) -> None:
        """Withdraws what was shown of an utterance the engine failed on, and says so."""
        self._revise(clip, Result(text="", language=settings.language or ""), final=True)
        message = f"speech from {seconds(clip.start):.3f} s to {seconds(clip.end):.3f} s could not be transcribed"
        self._notices.append(Problem(uid=self._options.uid, status="WARNING", message=message))
        log.error("utterance_lost", uid=self._options.uid, start_s=seconds(clip.start), end_s=seconds(clip.end))


def _place(words: Sequence[Word], clip: Clip) -> tuple[Word, ...]:
    """Moves words from the audio they were heard in to their place in the stream."""
    return fit_words(shift_words(words, seconds(clip.begin)), start_s=seconds(clip.start), end_s=seconds(clip.end))
