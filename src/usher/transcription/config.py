"""Settings of the transcription service, with units in their names."""

from dataclasses import dataclass, field, replace

from usher.protocol.whisper import VadParameters


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """When an utterance begins, is shown, and ends.

    Source: `short_s` was measured with the base model on 210 short sentences with pauses of 0.3 to 2 s. Ending all
    after 0.6 s gave a word error rate of 9.6 %; waiting 0.9 s below 3 s of speech gives 7.8 % and takes a sixth less
    processor time; waiting 1.1 s gave 6.8 %.

    Attributes:
        threshold: Speech probability from which a silent stream becomes a speaking one.
        release: How far below `threshold` the probability must fall before a window counts as silence.
        pre_roll_s: Audio kept from before the first speech window, so that soft onsets are heard.
        pause_s: Silence after which the utterance is decoded at final quality in case this is its end; also the
            silence left at the end of the audio given to the model.
        silence_s: Silence that ends an utterance. Shorter values split slow speech.
        short_s: Speech below which an utterance is short; 0 for never. A model mishears short ones.
        short_silence_s: Silence that ends a short utterance.
        min_speech_s: Utterances with less speech than this are noise and never reach the model.
        max_utterance_s: Longest utterance; it is cut at its quietest late moment and goes on as the next one.
        cut_search_s: How far back from the limit the quietest moment is looked for.
        partial_every_s: New speech needed before the next partial text, which is then shown about every second; 0 for
            final texts alone.
    """

    threshold: float = 0.5
    release: float = 0.15
    pre_roll_s: float = 0.3
    pause_s: float = 0.25
    silence_s: float = 0.6
    short_s: float = 3.0
    short_silence_s: float = 0.9
    min_speech_s: float = 0.1
    max_utterance_s: float = 25.0
    cut_search_s: float = 5.0
    partial_every_s: float = 0.9

    def __post_init__(self) -> None:
        longest_quiet_start_s = self.pre_roll_s + max(self.silence_s, self.short_silence_s)
        if not longest_quiet_start_s + 0.5 < self.max_utterance_s <= 28.0:
            raise ValueError("max_utterance_s must fit the model's 30 s window and hold speech beside its silences")
        if not self.release < self.threshold < 1.0:
            raise ValueError("threshold must lie between release and 1")

    def asked_for(self, parameters: VadParameters | None) -> "EndpointRules":
        """Returns the rules with what a client asked for, within reason.

        Only what it names changes. The bounds keep utterances usable: long enough for the model to have context, short
        enough for its window, and with silences that still end within a conversation.
        """
        if parameters is None:
            return self
        asked = parameters
        threshold = _within(0.1, asked.threshold, 0.95, self.threshold)
        silence_s = _seconds(asked.min_silence_duration_ms)
        release = self.release
        if asked.neg_threshold is not None:
            release = threshold - asked.neg_threshold
        return replace(
            self,
            threshold=threshold,
            release=min(max(release, 0.0), threshold - 0.05),
            pre_roll_s=_within(0.1, _seconds(asked.speech_pad_ms), 1.0, self.pre_roll_s),
            silence_s=_within(0.2, silence_s, 2.0, self.silence_s),
            short_silence_s=_within(0.2, silence_s, 2.0, self.short_silence_s),
            min_speech_s=_within(0.0, _seconds(asked.min_speech_duration_ms), 1.0, self.min_speech_s),
            max_utterance_s=_within(5.0, asked.max_speech_duration_s, 25.0, self.max_utterance_s),
        )


def _within(least: float, asked: float | None, most: float, otherwise: float) -> float:
    return otherwise if asked is None else min(max(asked, least), most)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000.0


@dataclass(frozen=True, slots=True)
class RemoteConfig:
    """A speech service with the audio API of OpenAI.

    Attributes:
        url: Base URL, such as `https://api.openai.com/v1`.
        key: Bearer token; None where none is needed.
        model: Name of the model there.
        connections: Calls at the same time.
        timeout_s: Longest wait for one text, with all tries.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    model: str = "whisper-1"
    connections: int = 8
    timeout_s: float = 25.0


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """How the transcription server listens, what it loads and how much it takes on.

    Attributes:
        host: Address to listen on.
        port: Port to listen on; 0 lets the system choose.
        model: Directory of a CTranslate2 Whisper model, or a model name known to faster-whisper.
        device: "cpu", "cuda" or "auto".
        compute_type: CTranslate2 compute type; int8 is the fastest on CPU.
        workers: Decodings that run at the same time, one thread each.
        batch_size: Utterances decoded together; four take a third less processor time than one by one.
        draft_wait_s: How long a partial text waits for others to be decoded with, when several streams are open.
        beam_size: Beam width of final texts; partial texts are decoded greedily.
        max_streams: Streams served at once, at most; further ones are told to wait.
        max_streams_per_bot: Streams of one bot at once, at most: one for each person who is heard, and those that a
            broken connection has not yet given back.
        max_load: Share of the workers' time up to which streams are let in. It may be over 1: partial texts count, and
            give way when workers are busy.
        max_lag_s: How long final texts may wait for a worker for streams to be let in; from so much lag on, clients
            are told of it.
        new_streams_per_s: New streams a second of one bot, or of one address where there are no tokens; eight times as
            many may come at once.
        retry_after_s: What a stream that must wait is told where there is no better estimate.
        max_frame_bytes: Longest message.
        frames_per_s: Binary frames a second of one stream; what comes faster is read later.
        texts_per_s: Text messages a second of one stream; what comes faster is read later.
        max_speed: How many times faster than real time a stream may catch up.
        failures_per_minute: Failed handshakes of one address that are answered one by one.
        max_handshakes_per_address: Connections of one address at once that have not yet sent their options.
        max_backlog_s: Finished but not yet transcribed audio per stream at which the server stops reading from it.
        max_stream_s: Longest life of a stream, after which it is finalised and disconnected.
        handshake_timeout_s: Time a client has to send its options.
        send_timeout_s: Time a client has to take a message before its stream is given up.
        flush_timeout_s: When a stream ends, the longest wait for its next final text; when the server shuts down, the
            time allowed for all of them.
        ping_interval_s: Time between keep-alive pings.
        ping_timeout_s: Time without an answer after which a client counts as gone.
        endpoint: When utterances begin and end.
        remote: Service that transcribes in place of a model of one's own.
    """

    host: str = "127.0.0.1"
    port: int = 9090
    model: str = "base"
    device: str = "cpu"
    compute_type: str = "int8"
    workers: int = 2
    batch_size: int = 4
    draft_wait_s: float = 0.3
    beam_size: int = 5
    max_streams: int = 256
    max_streams_per_bot: int = 128
    max_load: float = 1.2
    max_lag_s: float = 2.0
    new_streams_per_s: float = 16.0
    retry_after_s: float = 30.0
    max_frame_bytes: int = 1 << 20
    frames_per_s: float = 1000.0
    texts_per_s: float = 5.0
    max_speed: float = 20.0
    failures_per_minute: float = 20.0
    max_handshakes_per_address: int = 256
    max_backlog_s: float = 120.0
    max_stream_s: float = 12 * 3600.0
    handshake_timeout_s: float = 10.0
    send_timeout_s: float = 30.0
    flush_timeout_s: float = 60.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 60.0
    endpoint: EndpointRules = field(default_factory=EndpointRules)
    remote: RemoteConfig | None = None
