"""Rules about size and about names of modules."""

import ast
from collections.abc import Iterator, Sequence

from tools.house.tree import CODE, SourceFile, Violation, python_files

MOST_LINES_A_FILE = 500
MOST_LINES_A_FUNCTION = 60
_MEASURED = frozenset({".py", ".js", ".html", ".css", ".sql"})
_SAYS_NOTHING = frozenset({"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"})


def file_lengths(files: Sequence[SourceFile]) -> Iterator[Violation]:
    """No file of code is longer than 500 lines."""
    for file in files:
        length = len(file.lines)
        if file.top in CODE and file.path.suffix in _MEASURED and length > MOST_LINES_A_FILE:
            yield file.violation(length, f"split the file: {length} lines, {MOST_LINES_A_FILE} at most")


def function_lengths(files: Sequence[SourceFile]) -> Iterator[Violation]:
    """No Python function is longer than 60 lines, docstring included."""
    for file, module in python_files(files):
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MOST_LINES_A_FUNCTION:
                    yield file.violation(
                        node.lineno, f"split {node.name}(): {length} lines, {MOST_LINES_A_FUNCTION} at most"
                    )


def module_names(files: Sequence[SourceFile]) -> Iterator[Violation]:
    """No Python module or package has a name under which anything could be put."""
    for file in files:
        if file.path.suffix != ".py" or file.top not in CODE:
            continue
        names = file.path.with_suffix("").parts[-1:] if file.path.name != "__init__.py" else file.path.parts[-2:-1]
        for name in names:
            if name.removeprefix("_") in _SAYS_NOTHING:
                yield file.violation(1, f"name the module by what is in it: {name!r} says nothing")


def packages(files: Sequence[SourceFile]) -> Iterator[Violation]:
    """Every folder with Python in `src` is a package: the linters of imports and the build see nothing of others."""
    paths = {file.path for file in files}
    folders = {file.path.parent for file in files if file.path.suffix == ".py" and file.top == "src"}
    parents = {parent for folder in folders for parent in (folder, *folder.parents) if len(parent.parts) > 1}
    for folder in sorted(parents):
        if folder / "__init__.py" not in paths:
            yield Violation(folder, 1, "add an __init__.py that says what the package is for")
