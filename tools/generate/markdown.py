"""The little Markdown that the generated pages need."""

from collections.abc import Iterable, Sequence


def generated_by(module: str) -> str:
    """Return the comment that a generated page begins with."""
    return f"<!-- Generated from {module} by `python -m tools.generate`. Change it there. -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def code(words: Iterable[str]) -> str:
    """Return words as code, separated by commas; a dash for none."""
    return ", ".join(f"`{word}`" for word in words) or "-"


def page(*blocks: str) -> str:
    """Join blocks with empty lines between them."""
    return "\n\n".join(block.strip("\n") for block in blocks) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
