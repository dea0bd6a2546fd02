"""How much of the service's time is taken, measured; and what one more meeting is likely to take."""

import math
from collections.abc import Callable

Clock = Callable[[], float]

WINDOW_S = 30.0
"""How long load is remembered: what happened so long ago counts a third."""

_MEMORY_S = 600.0
_BELIEF_S = 120.0
_PARTY_COST = 0.1
_LEAST_PARTY_COST = _PARTY_COST / 4
_DECODE_COST = 0.1


class Decaying:
    """A sum that forgets: an amount added t seconds ago counts e^(-t / window_s)."""

    def __init__(self, window_s: float, clock: Clock) -> None:
        self._window_s = window_s
        self._clock = clock
        self._sum = 0.0
        self._rate = 0.0
        self._at = clock()

    def add(self, amount: float) -> None:
        """Adds an amount at once."""
        self._sum = self.sum + amount

    def flow(self, rate: float) -> None:
        """Adds so much a second from now on."""
        self._sum = self.sum
        self._rate = rate

    @property
    def sum(self) -> float:
        """What there is now."""
        now = self._clock()
        kept = math.exp(-(now - self._at) / self._window_s)
        self._sum = self._sum * kept + self._rate * self._window_s * (1.0 - kept)
        self._at = now
        return self._sum


class Load:
    """What the service is busy with.

    A party is one conversation: all streams of one bot, or one stream of somebody without a name. People of one meeting
    speak in turns, so a party costs about one speaker, however many streams it has.
    """

    def __init__(self, *, workers: int, clock: Clock) -> None:
        """Starts idle.

        Args:
            workers: Engine calls at the same time.
            clock: Monotonic clock, in seconds.
        """
        self.workers = workers
        self._running = 0
        self._busy = Decaying(WINDOW_S, clock)
        self._hearing = Decaying(WINDOW_S, clock)
        self._waits = Decaying(WINDOW_S, clock)
        self._finals = Decaying(WINDOW_S, clock)
        self._spent = Decaying(_MEMORY_S, clock)
        self._decoded = Decaying(_MEMORY_S, clock)
        self._parties = Decaying(_MEMORY_S, clock)

    def begin(self) -> None:
        """Notes that a worker begins an engine call."""
        self._run(1)

    def end(self, audio_s: float) -> None:
        """Notes the end of an engine call.

        Args:
            audio_s: Length of the audio it was about.
        """
        self._run(-1)
        self._decoded.add(audio_s)

    def heard(self, took_s: float) -> None:
        """Notes time the event loop spent on the audio of a stream."""
        self._hearing.add(took_s)

    def waited(self, wait_s: float) -> None:
        """Notes how long a final text whose turn it was waited for a worker."""
        self._waits.add(wait_s)
        self._finals.add(1.0)

    def serve(self, parties: int) -> None:
        """Notes how many parties are being served from now on."""
        self._parties.flow(parties)

    @property
    def busy(self) -> float:
        """Workers that are busy, on average of late: 0 to the number of workers."""
        return self._busy.sum / WINDOW_S

    @property
    def hearing(self) -> float:
        """Share of the event loop's time that voice detection takes, of late."""
        return self._hearing.sum / WINDOW_S

    @property
    def wait_s(self) -> float:
        """Mean wait of late; goes to zero when nothing is asked for any more."""
        return self._waits.sum / (self._finals.sum + 1.0)

    @property
    def party_cost(self) -> float:
        """Workers that one more party keeps busy: a guess that gives way to what parties here have cost.

        Source: measured with the base model on a CPU, 0.12 to 0.19 seconds of processor a second of speech.
        """
        mean = (_PARTY_COST * _BELIEF_S + self._spent.sum) / (_BELIEF_S + self._parties.sum)
        return max(mean, _LEAST_PARTY_COST)

    def drain_s(self, backlog_s: float) -> float:
        """Estimates how long all workers need for some audio.

        Args:
            backlog_s: Length of the audio.
        """
        cost = (_DECODE_COST * _BELIEF_S + self._spent.sum) / (_BELIEF_S + self._decoded.sum)
        return backlog_s * cost / self.workers

    def _run(self, change: int) -> None:
        self._running += change
        self._busy.flow(self._running)
        self._spent.flow(self._running)
