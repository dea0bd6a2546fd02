"""Rules about what Python code may do and what it may leave behind."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from tools.house.tree import SourceFile, Violation, python_files

MAY_READ_ENVIRONMENT = frozenset({PurePosixPath("src/usher/settings.py")})
"""The one module that looks at the environment; everything else is given what it needs."""

_ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"})
_MOCK_MODULES = frozenset({"mock", "unittest.mock", "pytest_mock", "flexmock", "asynctest"})
_MOCK_FIXTURES = frozenset({"mocker", "module_mocker", "session_mocker"})
_PRAGMA = re.compile(r"#\s*(?:type:\s*ignore(\[[^\]]*\])?|noqa(:\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*)?)")
_UNFINISHED = re.compile(r"\b(?:TODO|FIXME|XXX)\b")


def syntax(files: Sequence[SourceFile]) -> Iterator[Violation]:
    """Every Python file can be parsed: the other rules see nothing of one that cannot."""
    for file in files:
        if file.path.suffix == ".py" and file.module is None:
            yield file.violation(1, "mend the syntax of this file")


def environment_reads(files: Sequence[SourceFile]) -> Iterator[Violation]:
    """Only `usher.settings` reads the environment."""
    for file, module in python_files(files, "src"):
        if file.path in MAY_READ_ENVIRONMENT:
            continue
        systems = {"os"} | {name for name, target in _imports(module) if target == "os"}
        for node in ast.walk(module):
            if isinstance(node, ast.Attribute):
                found = node.attr in _ENVIRONMENT and isinstance(node.value, ast.Name) and node.value.id in systems
            else:
                found = isinstance(node, ast.ImportFrom) and node.module == "os" and bool(_names(node) & _ENVIRONMENT)
            if found and isinstance(node, ast.expr | ast.stmt):
                yield file.violation(node.lineno, "take it from usher.settings instead of the environment")


def mocks(files: Sequence[SourceFile]) -> Iterator[Violation]:
    """No mocking library: tests run on the in-memory adapters or on fakes that are named failures."""
    for file, module in python_files(files):
        for node in ast.walk(module):
            if isinstance(node, ast.Import | ast.ImportFrom):
                targets = {target for _, target in _imports(node)}
                found = any(target in _MOCK_MODULES or target.rpartition(".")[0] in _MOCK_MODULES for target in targets)
            else:
                found = isinstance(node, ast.arg) and node.arg in _MOCK_FIXTURES
            if found and isinstance(node, ast.stmt | ast.arg):
                yield file.violation(node.lineno, "use the in-memory adapter, or write a fake named by its failure")


def pragmas(files: Sequence[SourceFile]) -> Iterator[Violation]:
    """Whoever silences a checker says which rule, and why."""
    for file, _ in python_files(files):
        for line, comment in _comments(file.text):
            found = list(_PRAGMA.finditer(comment))
            if not found:
                continue
            if not all(match[1] or match[2] for match in found):
                yield file.violation(line, "name the codes of what is silenced")
            elif not re.search(r"[A-Za-z]{2}", _PRAGMA.sub("", comment)):
                yield file.violation(line, "say after it, in the same comment, why it is silenced")


def unfinished(files: Sequence[SourceFile]) -> Iterator[Violation]:
    """What is in `src` is finished."""
    for file in files:
        if file.top != "src":
            continue
        for number, line in enumerate(file.lines, start=1):
            if _UNFINISHED.search(line):
                yield file.violation(number, "do it, or take the note out and open an issue")
        for node in ast.walk(file.module) if file.module else ():
            if isinstance(node, ast.Name) and node.id == "NotImplementedError":
                yield file.violation(node.lineno, "write it, or make the method part of a Protocol")


def _imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield (local name, full dotted target) of every import in a tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name.partition(".")[0], alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _names(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


def _comments(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
