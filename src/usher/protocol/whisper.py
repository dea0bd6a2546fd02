"""Wire models of the WhisperLive WebSocket protocol, and Usher's additions to it.

A client sends one text message (its options), then binary frames of raw mono 16 kHz PCM, then the binary message
`END_OF_AUDIO`. The server answers with text messages that all carry the client's `uid`. Times in segments are strings
of stream seconds with three decimals.

Usher's additions are fields and messages a stock client ignores: `id`, `revision` and `language` on a segment, `lag_s`
beside the segments, the `configure` message and its answer, and a flush of everything buffered before the close that
follows `END_OF_AUDIO`.

Source: whisper-live 0.10.0, `whisper_live/server.py`, `client.py` and `backend/base.py`.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

_Model = TypeVar("_Model", bound=BaseModel)

END_OF_AUDIO = b"END_OF_AUDIO"
"""Binary message that ends a stream."""

EXTENSIONS_HEADER = "X-Usher-Extensions"
"""Header of the WebSocket handshake's answer by which a server says that it knows Usher's additions."""

SAMPLE_RATE_HZ = 16_000
"""Sample rate of every stream; the protocol has no field for it."""


class ProtocolViolation(ValueError):
    """A message does not follow the protocol; the text says what to change and may be sent to the peer."""


class Task(StrEnum):
    """What the speech is turned into: text in its own language, or English text."""

    TRANSCRIBE = "transcribe"
    TRANSLATE = "translate"


class AudioFormat(StrEnum):
    """Sample encoding of the binary frames: little-endian, mono, 16 kHz."""

    FLOAT32 = "float32"
    INT16 = "int16"
    UINT8 = "uint8"


def _none_as_default(value: object) -> object:
    return AudioFormat.FLOAT32 if value is None else value


class VadParameters(BaseModel):
    """The voice detection settings a client may ask for; unknown ones are ignored, and what is left out stays as it is.

    The stock server finds speech within a buffer by them; Usher finds the ends of utterances, and keeps each setting
    within bounds (`EndpointRules.asked_for`).

    Attributes:
        threshold: Speech probability from which a window counts as speech, 0 to 1.
        neg_threshold: Speech probability below which speech turns into silence, 0 to 1.
        min_speech_duration_ms: Utterances with less speech are taken for noise.
        max_speech_duration_s: Longer utterances are cut.
        min_silence_duration_ms: Silence that ends an utterance.
        speech_pad_ms: Audio kept from before the speech.

    Source: faster-whisper 1.2.1, `vad.py`, class VadOptions.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    threshold: float | None = Field(default=None, gt=0.0, lt=1.0)
    neg_threshold: float | None = Field(default=None, ge=0.0, lt=1.0)
    min_speech_duration_ms: float | None = Field(default=None, ge=0.0)
    max_speech_duration_s: float | None = Field(default=None, gt=0.0)
    min_silence_duration_ms: float | None = Field(default=None, ge=0.0)
    speech_pad_ms: float | None = Field(default=None, ge=0.0)


class ClientOptions(BaseModel):
    """First message of a client.

    Fields of the stock protocol that change nothing here are accepted, whatever is in them:

    * `use_vad`: the ends of utterances are found by voice detection either way;
    * `clip_audio`: nothing has to be clipped, for silence is never kept and utterances are bounded;
    * `same_output_threshold`: a text is final when its utterance is over, not when it came often enough;
    * `max_clients`, `max_connection_time`: limits of a server are not for its clients to set.

    Attributes:
        uid: Name the client gives its stream; echoed in every answer.
        language: Whisper language code, or None to detect it once per stream.
        task: Transcribe, or translate to English.
        model: Model the client would like; a server that serves one model ignores it.
        audio_format: Encoding of the binary frames.
        initial_prompt: Text that biases spelling and style of the first words.
        hotwords: Words to prefer, as one string.
        send_last_n_segments: How many completed segments each message repeats.
        no_speech_thresh: Probability of "no speech" above which doubtful text is dropped, 0 to 1.
        word_timestamps: Whether final segments carry the times of their words.
        same_output_threshold: Stock clients say with it how often a text must repeat to be final. Usher knows the ends
            of utterances otherwise, and tells from it that the client is a stock one; its own clients leave it out.
        vad_parameters: When utterances begin and end.
        enable_translation: Wanted beside the transcript, which Usher does not offer; see `not_offered`.
        enable_diarization: Speakers told apart by their voices, which Usher does not offer; see `not_offered`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    uid: str = Field(min_length=1, max_length=128)
    language: str | None = Field(max_length=32)
    task: Task
    model: str | None = Field(max_length=1024)
    use_vad: bool | None = None
    audio_format: Annotated[AudioFormat, BeforeValidator(_none_as_default)] = AudioFormat.FLOAT32
    initial_prompt: str | None = Field(default=None, max_length=2000)
    hotwords: str | None = Field(default=None, max_length=2000)
    send_last_n_segments: int = Field(default=10, ge=1, le=1000)
    no_speech_thresh: float = Field(default=0.45, ge=0.0, le=1.0)
    word_timestamps: bool | None = None
    same_output_threshold: int | None = None
    vad_parameters: VadParameters | None = None
    enable_translation: bool | None = None
    enable_diarization: bool | None = None

    @property
    def not_offered(self) -> list[str]:
        """What the client asked for and does not get; each says what to do instead."""
        missing = []
        if self.enable_translation:
            missing.append(
                "enable_translation is not offered: the task 'translate' turns speech into English text, and a second "
                "stream with it gives both"
            )
        if self.enable_diarization:
            missing.append(
                "enable_diarization is not offered: speakers are told apart by a stream for each of them, as Usher's "
                "bots send, which know their names"
            )
        return missing


class Configure(BaseModel):
    """Usher addition: changes language or task for the speech after it. A field left out stays as it is.

    Attributes:
        type: Always "configure".
        language: New language code; None given explicitly means detect again.
        task: New task.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["configure"] = "configure"
    language: str | None = Field(default=None, max_length=32)
    task: Task | None = None


class SpokenWord(BaseModel):
    """One word of a final segment.

    Attributes:
        word: The word with the space before it; the words of a segment, put together, are its text.
        start: Stream seconds with three decimals.
        end: Stream seconds with three decimals.
        probability: How sure the model is of it, 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    word: str
    start: str
    end: str
    probability: float


class Segment(BaseModel):
    """One utterance as the server understands it now.

    Attributes:
        start: First speech, stream seconds with three decimals.
        end: Last speech so far, stream seconds with three decimals.
        text: The words; empty when an earlier partial text is withdrawn.
        completed: True when this is final.
        id: Usher addition: names the utterance within its stream, from first partial to final. A stock server has none.
        revision: Usher addition: grows by one whenever the segment with this id changes. A stock server has none.
        language: Usher addition: language the text was decoded with.
        words: The words with their times; only in completed segments, and only for clients that asked.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    start: str
    end: str
    text: str
    completed: bool = False
    id: int | None = None
    revision: int | None = None
    language: str | None = None
    words: tuple[SpokenWord, ...] | None = None


class _ServerMessage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    uid: str


class ServerReady(_ServerMessage):
    """The server takes audio from now on."""

    message: Literal["SERVER_READY"] = "SERVER_READY"
    backend: str


class Disconnect(_ServerMessage):
    """The server ends the stream (time limit or shutdown) and closes; what was heard has been sent before."""

    message: Literal["DISCONNECT"] = "DISCONNECT"


class Configured(_ServerMessage):
    """Usher addition: the answer to `Configure`, with the settings now in force."""

    message: Literal["CONFIGURED"] = "CONFIGURED"
    language: str | None
    task: Task


class Wait(_ServerMessage):
    """The server is full; `message` is the number of minutes after which to try again."""

    status: Literal["WAIT"] = "WAIT"
    message: float


class Problem(_ServerMessage):
    """Something is wrong: ERROR comes before a close, WARNING does not end the stream."""

    status: Literal["ERROR", "WARNING"]
    message: str


class LanguageDetected(_ServerMessage):
    """The language of a stream that asked for detection, sent once."""

    language: str
    language_prob: float


class Segments(_ServerMessage):
    """The last completed segments and at most one trailing segment that is not completed.

    Attributes:
        segments: In the order in which they were spoken.
        lag_s: Usher addition: for how long ended speech has waited for its text; left out while that is little.
    """

    segments: list[Segment]
    lag_s: float | None = None


ServerMessage = ServerReady | Disconnect | Configured | Wait | Problem | LanguageDetected | Segments

_SERVER_MESSAGES: TypeAdapter[ServerMessage] = TypeAdapter(ServerMessage)


def parse_options(data: str | bytes) -> ClientOptions:
    """Reads the first message of a client.

    Raises:
        ProtocolViolation: The message is binary, not JSON, or a field is missing or wrong.
    """
    if isinstance(data, bytes):
        raise ProtocolViolation("the first message must be text: a JSON object with uid, language, task and model")
    return _parse(ClientOptions, data)


def parse_configure(data: str) -> Configure:
    """Reads a text message sent after the first one.

    Raises:
        ProtocolViolation: The message is anything but a valid `configure`.
    """
    if data.strip() == END_OF_AUDIO.decode():
        raise ProtocolViolation("END_OF_AUDIO must be a binary message")
    return _parse(Configure, data)


def parse_server_message(data: str | bytes) -> ServerMessage:
    """Reads one message of a server, Usher's or a stock one.

    Raises:
        ProtocolViolation: The message is binary, not JSON, or of no known kind.
    """
    if isinstance(data, bytes):
        raise ProtocolViolation("a server message must be text")
    try:
        message = _SERVER_MESSAGES.validate_json(data)
    except ValidationError as error:
        raise ProtocolViolation(_describe(error)) from error
    # The tags have defaults for those who build messages; a message read must say itself what it is.
    if {"message", "status"} & set(type(message).model_fields) - message.model_fields_set:
        raise ProtocolViolation("the message does not say what it is")
    return message


def find_uid(data: str | bytes) -> str:
    """Finds the `uid` in a first message that may be invalid, so that the error can carry it; "" when there is none."""
    try:
        return _Addressed.model_validate_json(data).uid
    except ValidationError:
        return ""


class _Addressed(BaseModel):
    uid: str = Field(max_length=128)


def _parse(model: type[_Model], data: str) -> _Model:
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise ProtocolViolation(_describe(error)) from error


def _describe(error: ValidationError) -> str:
    return "; ".join(_describe_one(dict(detail)) for detail in error.errors(include_url=False, include_input=False)[:5])


def _describe_one(detail: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in detail["loc"]) or "message"
    return f"{place}: {detail['msg']}"
