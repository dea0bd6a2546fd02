"""From an alignment of tokens with audio to words with times. Pure."""

import itertools
from collections.abc import Sequence

from usher.transcription.engine import Word

_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
_STEP_S = 0.02


def group_words(units: Sequence[str], language: str) -> list[list[int]]:
    """Groups the smallest printable pieces of a text into words: each piece without a space joins the word before it.

    In a language without spaces each piece is a word, and only punctuation joins.

    Args:
        units: The pieces, in order; each is one character or more.
        language: Language code.

    Returns:
        The positions of the pieces of each word, in order.
    """
    words: list[list[int]] = []
    for position, unit in enumerate(units):
        begins = any(map(str.isalnum, unit)) if language in _UNSPACED else unit.startswith(" ")
        if begins or not words:
            words.append([position])
        else:
            words[-1].append(position)
    return words


def time_words(
    units: Sequence[str],
    lengths: Sequence[int],
    alignment: Sequence[tuple[int, int]],
    probabilities: Sequence[float],
    *,
    language: str,
) -> tuple[Word, ...]:
    """Gives each word its time and its probability.

    A word ends where its last letter does: the pause after it is aligned with its punctuation.

    Args:
        units: The smallest printable pieces of the text, in order.
        lengths: Number of tokens of each piece.
        alignment: Pairs of token position and time step of 20 ms, in order; the position after the last token is
            where the text ends.
        probabilities: Probability of each token.
        language: Language code.

    Returns:
        The words. Put together they are the text without the space it starts with.
    """
    bounds = [0, *itertools.accumulate(lengths)]
    begun = dict(reversed(alignment))
    last = alignment[-1][1] if alignment else 0
    words = []
    for positions in group_words(units, language):
        spoken = [position for position in positions if any(map(str.isalnum, units[position]))] or positions
        first, stop = bounds[positions[0]], bounds[spoken[-1] + 1]
        words.append(
            Word(
                text="".join(units[position] for position in positions),
                start_s=begun.get(first, last) * _STEP_S,
                end_s=begun.get(stop, last) * _STEP_S,
                probability=sum(probabilities[first:stop]) / max(1, stop - first),
            )
        )
    return strip_words(words)


def strip_words(words: Sequence[Word]) -> tuple[Word, ...]:
    """Takes the space away from both ends of a text of words."""
    texts = [word.text for word in words]
    if texts:
        texts[0] = texts[0].lstrip()
        texts[-1] = texts[-1].rstrip()
    pairs = zip(words, texts, strict=True)
    return tuple(Word(text, word.start_s, word.end_s, word.probability) for word, text in pairs if text)


def match_words(text: str, heard: Sequence[Word]) -> tuple[Word, ...]:
    """Finds words, which may come without punctuation and spaces, in the text they are from.

    Args:
        text: The text, stripped.
        heard: Its words, in order.

    Returns:
        The words with all that stands between them in the text; none if they are not the words of the text.
    """
    found: list[tuple[int, Word]] = []
    cursor = 0
    for word in heard:
        bare = word.text.strip()
        at = text.find(bare, cursor)
        if not bare or at < 0:
            continue
        gap = text[cursor:at]
        if any(map(str.isalnum, gap)):
            return ()
        found.append((cursor + gap.find(" ") if " " in gap else at, word))
        cursor = at + len(bare)
    if not found or any(map(str.isalnum, text[cursor:])):
        return ()
    cuts = [0, *(at for at, _ in found[1:]), len(text)]
    pairs = zip(itertools.pairwise(cuts), found, strict=True)
    return tuple(Word(text[a:b], word.start_s, word.end_s, word.probability) for (a, b), (_, word) in pairs)
