"""The files of the repository, read once, and what a rule says of them."""

import ast
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CODE = frozenset({"src", "tests", "bench", "tools"})
"""Top-level folders that hold code of ours."""

_NOT_OURS = frozenset({"__pycache__", "node_modules", "build", "dist"})
_LARGEST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach of a rule.

    Attributes:
        path: The file, relative to the repository.
        line: From 1.
        what_to_do: One sentence in the imperative.
    """

    path: PurePosixPath
    line: int
    what_to_do: str


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One text file.

    Attributes:
        path: Relative to the repository.
        module: The parsed module; None if it is not Python, or not valid Python.
    """

    path: PurePosixPath
    text: str
    module: ast.Module | None

    @property
    def top(self) -> str:
        """The top-level folder that the file is in; empty for a file of the repository's root."""
        return self.path.parts[0] if len(self.path.parts) > 1 else ""

    @property
    def lines(self) -> list[str]:
        """The lines of the file."""
        return self.text.splitlines()

    def violation(self, line: int, what_to_do: str) -> Violation:
        """Return a violation in this file."""
        return Violation(self.path, line, what_to_do)


def load(root: Path) -> list[SourceFile]:
    """Read every text file under `root` except those of tools, caches and virtual environments."""
    return [file for path in _walk(root) if (file := _read(root, path)) is not None]


def python_files(files: Sequence[SourceFile], *tops: str) -> Iterator[tuple[SourceFile, ast.Module]]:
    """Yield the parsed Python files of the given top-level folders (of all folders with code if none is given)."""
    wanted = frozenset(tops) or CODE
    for file in files:
        if file.module is not None and file.top in wanted:
            yield file, file.module


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _NOT_OURS and not name.endswith(".egg-info") and (name == ".github" or name[0] != ".")
        )
        yield from (Path(folder, name) for name in sorted(names))


def _read(root: Path, path: Path) -> SourceFile | None:
    """Read one file; None if it is not text of a size that people write."""
    try:
        data = path.read_bytes()
        text = data.decode() if len(data) <= _LARGEST_BYTES and b"\0" not in data else None
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    if text is None:
        return None
    return SourceFile(PurePosixPath(path.relative_to(root)), text, _parse(text) if path.suffix == ".py" else None)


def _parse(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None
