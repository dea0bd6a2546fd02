"""Word error rate."""

import re

_CONTRACTIONS = {"mr": "mister", "i'm": "i am"}


def words(text: str) -> list[str]:
    """Lower-case words without punctuation; hyphens part words, common contractions are written out."""
    found = re.findall(r"[a-z0-9']+", text.lower().replace("-", " "))
    return " ".join(_CONTRACTIONS.get(word, word) for word in found).split()


def word_error_rate(reference: str, heard: str) -> float:
    """Edits that turn the heard words into the reference, divided by the number of reference words."""
    wanted, got = words(reference), words(heard)
    row = list(range(len(got) + 1))
    for i, word in enumerate(wanted, 1):
        before, row = row, [i]
        for j, other in enumerate(got, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (word != other)))
    return row[-1] / max(1, len(wanted))
