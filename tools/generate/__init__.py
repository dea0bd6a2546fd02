"""Writes the reference pages that are made from code, and tells which are stale.

`python -m tools.generate` writes them, `python -m tools.generate --check` exits with 1 and names those whose file
does not say what the code says. A page is a path and a function that returns its text; `PAGES` is the list of all.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tools.generate.lifecycle import lifecycle_page
from tools.generate.openapi import openapi_text
from tools.generate.settings import settings_page

PAGES: Mapping[str, Callable[[], str]] = {
    "docs/reference/lifecycle.md": lifecycle_page,
    "docs/reference/openapi.json": openapi_text,
    "docs/reference/settings.md": settings_page,
}


def write(root: Path, pages: Mapping[str, Callable[[], str]] = PAGES) -> Sequence[str]:
    """Write the pages that are stale under `root` and return their paths. Idempotent."""
    written = stale(root, pages)
    for path in written:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(pages[path](), encoding="utf-8")
    return written


def stale(root: Path, pages: Mapping[str, Callable[[], str]] = PAGES) -> Sequence[str]:
    """Return the paths of pages that are missing under `root` or say something else than the code."""
    return [path for path, make in pages.items() if _read(root / path) != make()]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


__all__ = ["PAGES", "stale", "write"]
