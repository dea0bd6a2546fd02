"""Rules that keep the state of a meeting behind one door and in one table."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tools.house.sql import statements, writes_status
from tools.house.tree import SourceFile, Violation, python_files

_MAY_COMPARE = frozenset(
    {PurePosixPath("src/usher/domain/lifecycle.py"), PurePosixPath("src/usher/domain/reconcile.py")}
)
_SPEAKS_OF_STATE = re.compile(r"stat(?:e|us)", re.IGNORECASE)
_LIFECYCLE = "usher.domain.lifecycle"
STATE_VALUES = frozenset(
    {
        "scheduled",
        "requested",
        "starting",
        "joining",
        "awaiting_admission",
        "active",
        "reconfiguring",
        "stopping",
        "error",
        "completed",
        "failed",
    }
)
"""Values of `State`, repeated here so that the checker imports nothing of what it checks; a test compares them."""


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What is compared with each other in one comparison or one `case`."""

    line: int
    operands: Sequence[ast.expr]


def status_writers(files: Sequence[SourceFile]) -> Iterator[Violation]:
    """Exactly one SQL statement in `src` updates the status of meetings; a migration never does."""
    writers = []
    for file in files:
        if file.top != "src":
            continue
        for line, sql in statements(file):
            if not writes_status(sql):
                continue
            if "migrations" in file.path.parts:
                yield file.violation(line, "take the UPDATE of meetings.status out: a migration moves no meeting")
            else:
                writers.append((file, line))
    for file, line in writers[1:]:
        first = f"{writers[0][0].path}:{writers[0][1]}"
        yield file.violation(line, f"go through the one UPDATE of meetings.status ({first}) instead of a second one")
    if not writers:
        yield Violation(PurePosixPath("src"), 1, "add the one UPDATE of meetings.status, or mend this check")


def state_comparisons(files: Sequence[SourceFile]) -> Iterator[Violation]:
    """Outside the lifecycle, code asks the sets that are made from the table and compares no state itself.

    A state is an attribute of `State`, or a string that has the value of one and is compared with something whose
    name speaks of a status or a state (`"error"` alone is a word like any other).
    """
    for file, module in python_files(files, "src"):
        if file.path in _MAY_COMPARE:
            continue
        names = _names_of_state(module)
        for comparison in _comparisons(module):
            operands = comparison.operands
            about_states = any(_SPEAKS_OF_STATE.search(ast.unparse(operand)) for operand in operands)
            if any(_is_state(operand, names, about_states=about_states) for operand in operands):
                yield file.violation(
                    comparison.line, f"ask a set of {_LIFECYCLE} (TERMINAL, IN_MEETING, …), or add one there"
                )


def _names_of_state(module: ast.Module) -> frozenset[str]:
    """Return the names that `State` goes by in a module: imported, renamed, or assigned."""
    names = {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.module == _LIFECYCLE
        for alias in node.names
        if alias.name == "State"
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and node.value.id in names:
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(names)


def _comparisons(module: ast.Module) -> Iterator[_Comparison]:
    for node in ast.walk(module):
        if isinstance(node, ast.Compare):
            yield _Comparison(node.lineno, [part for side in (node.left, *node.comparators) for part in _parts(side)])
        elif isinstance(node, ast.Match):
            for case in node.cases:
                values = [part.value for part in ast.walk(case.pattern) if isinstance(part, ast.MatchValue)]
                yield _Comparison(case.pattern.lineno, [node.subject, *values])


def _parts(side: ast.expr) -> list[ast.expr]:
    """Return the members of a collection that is written out, or else the expression itself."""
    return side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]


def _is_state(node: ast.expr, names: frozenset[str], *, about_states: bool) -> bool:
    if isinstance(node, ast.Constant):
        return about_states and node.value in STATE_VALUES
    if not isinstance(node, ast.Attribute):
        return False
    if node.attr == "value":
        return _is_state(node.value, names, about_states=about_states)
    owner = node.value
    by_name = isinstance(owner, ast.Name) and owner.id in names
    by_module = isinstance(owner, ast.Attribute) and owner.attr == "State"
    return by_name or by_module
