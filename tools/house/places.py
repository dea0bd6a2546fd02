"""No file says on whose machine, or behind whose package registry, it was written."""

import re
from collections.abc import Iterator, Sequence

from tools.house.tree import SourceFile, Violation

# Each pattern is put together from pieces so that this file does not match itself.
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"(?<![\w.$}/-])/" + r"(?:work|root|Users/\w+|home/(?!usher\b|nonroot\b)\w+)/[\w.]"),
        "name no path of one machine: take it from a setting, a fixture or the file's own place",
    ),
    (
        re.compile(r"(?<!emit-)\b(?:extra-)?index" + r"-url|\bGO" + r"PROXY\s*=|\bfind-" + r"links\b"),
        "leave the choice of a package registry to whoever installs",
    ),
    (
        re.compile(
            r"https?://[^\s/'\"]+/(?:[\w.-]+/)*"
            r"(?:simple/?(?![\w./-])|artifactory/|api/(?:pypi|npm)/|repository/(?:pypi|npm|go)\b)"
        ),
        "name no package registry",
    ),
    (
        re.compile(r"\b(?:files\.python" + r"hosted\.org|registry\.npm" + r"js\.org|proxy\.go" + r"lang\.org)"),
        "name no package registry",
    ),
)


def places(files: Sequence[SourceFile]) -> Iterator[Violation]:
    """No machine paths and no registry hosts, in any text file of the repository."""
    for file in files:
        for number, line in enumerate(file.lines, start=1):
            for pattern, what_to_do in _PATTERNS:
                if pattern.search(line):
                    yield file.violation(number, what_to_do)
                    break
