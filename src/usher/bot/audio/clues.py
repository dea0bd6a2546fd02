"""What is known of who speaks in a meeting: by the page's looks, its speaking signs, and contributing sources.

Pure: positions are numbers of samples on the one time line of the bot; nothing here knows a clock.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

from usher.bot.audio.clock import SAMPLE_RATE

_MOST_SPANS = 500
_FLICKER = int(0.3 * SAMPLE_RATE)
_USUAL_LAG = int(0.3 * SAMPLE_RATE)
_USUAL_STAY = int(0.5 * SAMPLE_RATE)
_HABITS = 31
_FEWEST_HABITS = 3
_MOST_SOURCES = 1000
_FEWEST_VOTES = 15
_SURE = 0.8
_MOST_CLAIMS = 20


@dataclass(slots=True, eq=False)
class Span:
    """A stretch in which the page showed a person as heard.

    Attributes:
        on: When the sign came, which is later than the voice.
        off: When it went; None while it is there.
    """

    person: str
    on: int
    off: int | None = None


class Signs:
    """The page's speaking signs.

    Attributes:
        known: Whether the page is watched at all.
    """

    def __init__(self) -> None:
        self.known = False
        self._spans: deque[Span] = deque(maxlen=_MOST_SPANS)
        self._lags: deque[int] = deque(maxlen=_HABITS)
        self._stays: deque[int] = deque(maxlen=_HABITS)

    @property
    def lag(self) -> int:
        """How long after the voice a sign usually comes, in samples."""
        return _usual(self._lags, _USUAL_LAG)

    @property
    def stay(self) -> int:
        """How long after the voice a sign usually goes, in samples."""
        return _usual(self._stays, _USUAL_STAY)

    def note(self, people: Collection[str], position: int) -> None:
        """From `position` on these people are shown as heard, and nobody else."""
        self.known = True
        shown = {span.person: span for span in self._spans if span.off is None}
        for person, span in shown.items():
            if person not in people:
                span.off = max(position, span.on)
        for person in people:
            if person not in shown:
                self._show(person, position)

    def note_lag(self, lag: int) -> None:
        """Take note of how late a sign was."""
        self._lags.append(lag)

    def note_stay(self, stay: int) -> None:
        """Take note of how long a sign stayed on after the voice."""
        self._stays.append(stay)

    def between(self, begin: int, end: int) -> Iterator[Span]:
        """Return the spans that are there at some moment of a stretch, in the order in which they came."""
        return (span for span in self._spans if span.on < end and (span.off is None or span.off >= begin))

    def _show(self, person: str, position: int) -> None:
        last = next((span for span in reversed(self._spans) if span.person == person), None)
        if last is not None and last.off is not None and position - last.off < _FLICKER:
            last.off = None  # A sign that flickers is one sign.
        else:
            self._spans.append(Span(person, position))


class Clues:
    """Everything that is known of who speaks, for all tracks of a meeting.

    Attributes:
        signs: The page's speaking signs.
        voices: Person by the page's id of a track, for tracks that belong to one person.
    """

    def __init__(self) -> None:
        self.signs = Signs()
        self.voices: Mapping[str, str] = {}
        self._told: Mapping[int, str] = {}
        self._votes: OrderedDict[int, Counter[str]] = OrderedDict()
        self._claims: dict[int, deque[Span]] = {}

    def tell(self, voices: Mapping[str, str], sources: Mapping[int, str]) -> None:
        """Take what the page tells of tracks and contributing sources."""
        self.voices, self._told = voices, sources

    @property
    def knows_sources(self) -> bool:
        """Whether any contributing source is known to be somebody's."""
        return bool(self._told or self._votes)

    def person_of(self, source: int) -> str | None:
        """Return who is heard through a contributing source, by the page or as seen often enough by the signs."""
        told = self._told.get(source)
        votes = self._votes.get(source)
        if told is not None or votes is None:
            return told
        person, number = votes.most_common(1)[0]
        return person if number >= max(_FEWEST_VOTES, _SURE * votes.total()) else None

    def people_with_sources(self) -> frozenset[str]:
        """Return whose contributing sources are known."""
        learnt = filter(None, map(self.person_of, self._votes))
        return frozenset([*self._told.values(), *learnt])

    def vote(self, source: int, person: str) -> None:
        """Take note that a source was heard while the page showed one person alone as heard."""
        self._votes.setdefault(source, Counter())[person] += 1
        self._votes.move_to_end(source)
        if len(self._votes) > _MOST_SOURCES:
            self._votes.popitem(last=False)

    def claim(self, track: int, person: str, begin: int, end: int) -> None:
        """Take note that a person is heard on a track for a stretch."""
        claims = self._claims.setdefault(track, deque(maxlen=_MOST_CLAIMS))
        last = claims[-1] if claims else None
        if last is not None and last.person == person and begin - (last.off or 0) < _FLICKER:
            last.off = end
        else:
            claims.append(Span(person, begin, end))

    def is_claimed(self, person: str, track: int, position: int) -> bool:
        """Say whether a person is heard on another track at that time: nobody is heard on two."""
        return any(
            claim.person == person and claim.on <= position < (claim.off or 0)
            for other, claims in self._claims.items()
            if other != track
            for claim in claims
        )

    def drop(self, track: int) -> None:
        """Forget a track that is over."""
        self._claims.pop(track, None)


def _usual(seen: Collection[int], otherwise: int) -> int:
    return int(median(seen)) if len(seen) >= _FEWEST_HABITS else otherwise
