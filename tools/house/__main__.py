"""Entry point of `python -m tools.house`."""

import argparse
import sys
from pathlib import Path

from tools.house import check


def main() -> int:
    """Print the violations and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.house", description="Check the rules of the house.")
    parser.add_argument("root", type=Path, nargs="?", default=Path(), help="the repository (default: this directory)")
    lines = check(parser.parse_args().root)
    for line in lines:
        print(line)
    print(f"{len(lines)} violation(s)" if lines else "The house is in order.", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
