"""Entry point of `python -m tools.mutants`."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tools.mutants.mutant import Mutant
from tools.mutants.report import WANTED, line, mutants_page, share_caught, summary
from tools.mutants.stages import STAGES
from tools.mutants.table import MUTANTS
from tools.mutants.trial import try_mutant

_REPOSITORY = Path(__file__).parents[2]
_PAGE = "docs/reference/mutants.md"


def main() -> int:
    """Try the mutants and return the exit code: 0 if enough of them were noticed."""
    arguments = _arguments()
    chosen = [mutant for number, mutant in enumerate(MUTANTS, 1) if _is_chosen(number, mutant, arguments.only)]
    if arguments.list:
        for number, mutant in enumerate(MUTANTS, 1):
            print(f"{number:>3}  {mutant.name:<58} {mutant.path}")
        return 0
    if not chosen:
        print(f"no mutant is called {arguments.only!r}; --list names them")
        return 2
    for mutant in MUTANTS:
        mutant.planted_in((_REPOSITORY / mutant.source).read_text())  # before hours are spent on the others
    stages = [stage for stage in STAGES if stage.name not in arguments.without.split(",")]
    verdicts = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for verdict in pool.map(partial(try_mutant, _REPOSITORY, stages=stages), chosen):
            print(line(verdict), flush=True)
            verdicts.append(verdict)
    print(summary(verdicts))
    if len(chosen) == len(MUTANTS):
        (_REPOSITORY / _PAGE).write_text(mutants_page(verdicts))
        print(f"wrote {_PAGE}")
    return 0 if share_caught(verdicts) >= WANTED else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description="Plant bugs and look who notices.")
    parser.add_argument(
        "--only", default="", help="numbers, or parts of names, of the mutants to try, separated by commas"
    )
    parser.add_argument("--jobs", type=int, default=1, help="how many to try at a time (default: 1)")
    parser.add_argument("--without", default="", help="stages to leave out, separated by commas: explorer,chaos")
    parser.add_argument("--list", action="store_true", help="name all mutants and try none")
    return parser.parse_args()


def _is_chosen(number: int, mutant: Mutant, only: str) -> bool:
    wanted = only.split(",")
    return any(one == str(number) if one.isdecimal() else one in mutant.name for one in wanted)


if __name__ == "__main__":
    sys.exit(main())
