"""Word error rate."""

import re

from usher.demo.scoring import word_errors

_CONTRACTIONS = {"mr": "mister", "i'm": "i am"}


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; hyphens part words, common contractions are written out."""
    found = re.findall(r"[a-z0-9']+", text.lower().replace("-", " "))
    return " ".join(_CONTRACTIONS.get(word, word) for word in found).split()


def word_error_rate(reference: str, heard: str) -> float:
    """Edits that turn the heard words into the reference, divided by the number of reference words."""
    wanted = words(reference)
    return word_errors(wanted, words(heard)) / max(1, len(wanted))
