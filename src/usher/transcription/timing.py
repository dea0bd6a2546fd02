"""Where the words of an utterance are in its stream. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from usher.transcription.engine import Word

_LEAST_S = 0.02


def fit_words(words: Sequence[Word], *, start_s: float, end_s: float) -> tuple[Word, ...]:
    """Puts words between the start and the end of the speech they are from, one after the other.

    An alignment lets the first word begin in the silence before it and gives words no length where it is unsure. Each
    gets at least 20 ms, as far as there is room.

    Args:
        words: In the order in which they were said; times in seconds.
        start_s: Where the speech starts, on the same clock.
        end_s: Where it ends.

    Returns:
        The same words; no word starts before the one before it has ended.
    """
    least_s = min(_LEAST_S, max(0.0, end_s - start_s) / max(1, len(words)))
    times: list[tuple[float, float]] = []
    free_s = start_s
    for word in words:
        begin_s = max(word.start_s, free_s)
        free_s = max(word.end_s, begin_s + least_s)
        times.append((begin_s, free_s))
    limit_s = end_s
    for index in reversed(range(len(times))):
        begin_s, stop_s = times[index]
        stop_s = min(stop_s, limit_s)
        limit_s = min(begin_s, stop_s - least_s)
        times[index] = (limit_s, stop_s)
    return tuple(
        replace(word, start_s=max(start_s, begin_s), end_s=max(start_s, stop_s))
        for word, (begin_s, stop_s) in zip(words, times, strict=True)
    )


def shift_words(words: Sequence[Word], by_s: float) -> tuple[Word, ...]:
    """Moves words to another clock."""
    return tuple(replace(word, start_s=word.start_s + by_s, end_s=word.end_s + by_s) for word in words)
