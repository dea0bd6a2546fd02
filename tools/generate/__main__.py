"""Entry point of `python -m tools.generate`."""

import argparse
import sys
from pathlib import Path

from tools.generate import stale, write


def main() -> int:
    """Write or check the generated pages and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.generate", description="Write the generated reference.")
    parser.add_argument("--check", action="store_true", help="write nothing; name what is stale and exit with 1")
    parser.add_argument("root", type=Path, nargs="?", default=Path(), help="the repository (default: this directory)")
    arguments = parser.parse_args()
    if not arguments.check:
        for path in write(arguments.root):
            print(f"wrote {path}")
        return 0
    old = stale(arguments.root)
    for path in old:
        print(f"{path}: stale: run `python -m tools.generate` and commit what it writes")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
