"""SQL in the tree: where it stands, and whether it writes the status of meetings."""

import ast
import re
from collections.abc import Iterator

from tools.house.tree import SourceFile

_COMMENT = re.compile(r"--[^\n]*")
_UPDATE = re.compile(
    r"""\b(?: UPDATE \s+ (?:ONLY\s+)? (?:"?\w+"?\.)? "?meetings"? (?!\w) (?: \s+ (?!SET\b) (?:AS\s+)? \w+ )?
          | INSERT \s+ INTO \s+ (?:"?\w+"?\.)? "?meetings"? (?!\w) [^;]* \bDO \s+ UPDATE ) \s+ SET \b""",
    re.IGNORECASE | re.VERBOSE,
)
_WORD = re.compile(r"[(),;]|\b(?:WHERE|RETURNING)\b|\b(?<!DISTINCT )FROM\b", re.IGNORECASE)
_COLUMN = re.compile(r'(?:\w+\.)?"?(\w+)"?\s*=(?!=)')
_COLUMNS = re.compile(r"(?:ROW\s*)?\(([^()]*)\)\s*=", re.IGNORECASE)


def statements(file: SourceFile) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of what may be SQL: a `.sql` file as a whole, each string constant of a Python file."""
    if file.path.suffix == ".sql":
        yield 1, file.text
    if file.module is None:
        return
    inside: set[ast.AST] = set()
    for node in ast.walk(file.module):
        if isinstance(node, ast.JoinedStr):
            inside.update(ast.walk(node))
            yield node.lineno, "".join(_part(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in inside:
            yield node.lineno, node.value


def writes_status(sql: str) -> bool:
    """Say whether `sql` holds an UPDATE of meetings that assigns to `status`.

    In doubt it does: a SET clause that is put together at run time may assign to anything.
    """
    plain = " ".join(_COMMENT.sub("", sql).split())
    return any(
        column in {"status", None}
        for update in _UPDATE.finditer(plain)
        for assignment in _assignments(plain[update.end() :])
        for column in _columns(assignment)
    )


def _assignments(rest: str) -> Iterator[str]:
    """Yield the assignments of the SET clause that `rest` begins with."""
    depth, begin = 0, 0
    for word in _WORD.finditer(rest):
        depth += {"(": 1, ")": -1}.get(word[0], 0)
        if depth > 0 or (word[0] in "()" and depth == 0):
            continue
        yield rest[begin : word.start()].strip()
        begin = word.end()
        if word[0] != ",":
            return
    yield rest[begin:].strip()


def _columns(assignment: str) -> list[str | None]:
    """Return the columns that one assignment is to; None for one that is only known at run time."""
    several = _COLUMNS.match(assignment)
    if several:
        return [name.strip(' "').lower() if name.strip(' "').isidentifier() else None for name in several[1].split(",")]
    one = _COLUMN.match(assignment)
    return [one[1].lower() if one else None]


def _part(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "<expression>"
