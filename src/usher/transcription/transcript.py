"""What one stream has said so far, as far as its client does not know it."""

import collections
from collections.abc import Sequence

from usher.protocol.whisper import Segment, Segments, SpokenWord
from usher.transcription.engine import Word
from usher.transcription.pcm import seconds


class Transcript:
    """The segments of one stream.

    Bounded: completed segments are kept until they have been sent, and then only as many as each message repeats.
    """

    def __init__(self, uid: str, *, repeat: int, rehearse: bool = False) -> None:
        """Starts empty.

        Args:
            uid: Name of the stream.
            repeat: How many completed segments each message repeats.
            rehearse: Tell the newest completed text as a partial one first if it was not told so before: a stock client
                takes the last partial text it was told for more that was said, unless it equals the last completed one.
        """
        self._uid = uid
        self._repeat = repeat
        self._rehearse = rehearse
        self._told = ""
        self._completed: collections.deque[Segment] = collections.deque()
        self._open: Segment | None = None
        self._unsent = 0
        self._changed = False

    def revise(
        self,
        *,
        utterance: int,
        start: int,
        end: int,
        text: str,
        language: str,
        completed: bool,
        words: Sequence[Word] = (),
    ) -> None:
        """Takes the newest text of an utterance. Utterances come in order; one that is completed does not come again.

        Args:
            utterance: Number of the utterance in its stream.
            start: Position of its first speech, in samples.
            end: Position of its last speech so far, in samples.
            text: Its words. Nothing is said of an utterance that never had any.
            language: Language it was decoded with; empty when that is not known.
            completed: Whether this is final.
            words: The words with their times in stream seconds, if they are to be told.
        """
        before = self._open if self._open and self._open.id == utterance else None
        if not text and before is None:
            return
        self._open = None
        segment = Segment(
            start=f"{seconds(start):.3f}",
            end=f"{seconds(end):.3f}",
            text=f" {text}" if text else "",
            completed=completed,
            id=utterance,
            revision=(before.revision or 0) + 1 if before else 1,
            language=language or None,
            words=_spoken(words) if words and completed else None,
        )
        self._changed = True
        if completed:
            self._completed.append(segment)
            self._unsent += 1
        else:
            self._open = segment

    def take(self, *, lag_s: float | None = None) -> Segments | None:
        """Hands out the next message, or None when the client knows everything: it may take more than one.

        Args:
            lag_s: How far the texts are behind; None when that is not worth a word.
        """
        if not self._changed:
            return None
        if self._open:
            self._told = self._open.text
        elif self._rehearse and self._completed and self._completed[-1].text != self._told:
            last = self._completed[-1]
            self._told = last.text
            return Segments(uid=self._uid, segments=[last.model_copy(update={"completed": False, "words": None})])
        count = max(self._repeat, self._unsent)
        segments = list(self._completed)[-count:]
        if self._open:
            segments.append(self._open)
        while len(self._completed) > self._repeat:
            self._completed.popleft()
        self._unsent, self._changed = 0, False
        return Segments(uid=self._uid, segments=segments, lag_s=lag_s)


def _spoken(words: Sequence[Word]) -> tuple[SpokenWord, ...]:
    """Puts words in the form of the protocol: as in the text, there is a space before the first one."""
    return tuple(
        SpokenWord(
            word=word.text if index else f" {word.text}",
            start=f"{word.start_s:.3f}",
            end=f"{word.end_s:.3f}",
            probability=round(word.probability, 4),
        )
        for index, word in enumerate(words)
    )
