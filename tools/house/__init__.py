"""The rules of the house that no off-the-shelf linter knows. Standard library only.

`python -m tools.house [DIRECTORY]` prints one line per violation (`path:line: rule: what to do`) and exits with 1 if
there is any. A rule is a function from the files of the tree to violations; `RULES` is the list of all of them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from tools.house.code import environment_reads, mocks, pragmas, syntax, unfinished
from tools.house.places import places
from tools.house.sizes import file_lengths, function_lengths, module_names, packages
from tools.house.states import state_comparisons, status_writers
from tools.house.tree import SourceFile, Violation, load

Rule = Callable[[Sequence[SourceFile]], Iterator[Violation]]

RULES: Mapping[str, Rule] = {
    "syntax": syntax,
    "file-length": file_lengths,
    "function-length": function_lengths,
    "module-name": module_names,
    "package": packages,
    "status-writer": status_writers,
    "state-comparison": state_comparisons,
    "environment": environment_reads,
    "mock": mocks,
    "pragma": pragmas,
    "unfinished": unfinished,
    "place": places,
}


def check(root: Path, rules: Mapping[str, Rule] = RULES) -> list[str]:
    """Check the tree under `root` and return one line per violation, in the order of files and lines."""
    files = load(root)
    found = ((violation, name) for name, rule in rules.items() for violation in rule(files))
    return [
        f"{violation.path}:{violation.line}: {name}: {violation.what_to_do}"
        for violation, name in sorted(found, key=lambda pair: (str(pair[0].path), pair[0].line, pair[1]))
    ]


__all__ = ["RULES", "Rule", "check"]
