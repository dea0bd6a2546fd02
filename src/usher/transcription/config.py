"""Settings of the transcription service, with units in their names."""

from dataclasses import dataclass, field, replace

from usher.protocol.whisper import VadParameters


@dataclass(frozen=True, slots=True)
class EndpointRules:
    """When an utterance begins, is shown, and ends.

    Attributes:
        threshold: Speech probability from which a silent stream becomes a speaking one.
        release: How far below `threshold` the probability must fall before a window counts as silence.
        pre_roll_s: Audio kept from before the first speech window, so that soft onsets are heard.
        pause_s: Silence after which the utterance is decoded at final quality in case this is its end; also the
            silence left at the end of the audio given to the model.
        silence_s: Silence that ends an utterance. Shorter values split slow speech.
        min_speech_s: Utterances with less speech than this are noise and never reach the model.
        max_utterance_s: Longest utterance; it is cut at its quietest late moment and goes on as the next one.
        cut_search_s: How far back from the limit the quietest moment is looked for.
        partial_every_s: New speech needed before the next partial text.
    """

    threshold: float = 0.5
    release: float = 0.15
    pre_roll_s: float = 0.3
    pause_s: float = 0.25
    silence_s: float = 0.6
    min_speech_s: float = 0.1
    max_utterance_s: float = 25.0
    cut_search_s: float = 5.0
    partial_every_s: float = 1.0

    def __post_init__(self) -> None:
        longest_quiet_start_s = self.pre_roll_s + self.silence_s
        if not longest_quiet_start_s + 0.5 < self.max_utterance_s <= 28.0:
            raise ValueError("max_utterance_s must fit the model's 30 s window and hold speech beside its silences")
        if not self.release < self.threshold < 1.0:
            raise ValueError("threshold must lie between release and 1")

    def asked_for(self, parameters: VadParameters | None) -> "EndpointRules":
        """Returns the rules with what a client asked for, within reason."""
        if parameters is None:
            return self
        return replace(self, threshold=min(max(parameters.threshold, self.release + 0.05), 0.95))


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
        max_streams: Streams served at once; the next one is told to wait.
        retry_after_s: What a stream that must wait is told.
        max_frame_bytes: Longest binary frame.
        max_backlog_s: Finished but not yet transcribed audio per stream at which the server stops reading from it.
        max_stream_s: Longest life of a stream, after which it is finalised and disconnected.
        handshake_timeout_s: Time a client has to send its options.
        send_timeout_s: Time a client has to take a message before its stream is given up.
        flush_timeout_s: When a stream ends, the longest wait for its next final text; when the server shuts down, the
            time allowed for all of them.
        ping_interval_s: Time between keep-alive pings.
        ping_timeout_s: Time without an answer after which a client counts as gone.
        endpoint: When utterances begin and end.
    """

    host: str = "127.0.0.1"
    port: int = 9090
    model: str = "base"
    device: str = "cpu"
    compute_type: str = "int8"
    workers: int = 2
    batch_size: int = 4
    draft_wait_s: float = 0.2
    beam_size: int = 5
    max_streams: int = 16
    retry_after_s: float = 30.0
    max_frame_bytes: int = 1 << 20
    max_backlog_s: float = 120.0
    max_stream_s: float = 12 * 3600.0
    handshake_timeout_s: float = 10.0
    send_timeout_s: float = 30.0
    flush_timeout_s: float = 60.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 60.0
    endpoint: EndpointRules = field(default_factory=EndpointRules)
