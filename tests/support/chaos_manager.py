"""A manager that is the product's own, `usher serve`, but for what a test does to it before it runs.

    python -m tests.support.chaos_manager [--kill POINT | --pause POINT] [--call N] [--shift SECONDS] [--role ROLES]

With `--kill` it gets SIGKILL at a point of `chaos_points`, with `--pause` SIGSTOP; with `--shift` its wall clock is
wrong.
"""

import argparse
import signal
from collections.abc import Sequence

_ROLES = "api,dispatch,reconcile,collect"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the manager until a signal comes, or it dies."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.chaos_manager")
    parser.add_argument("--kill")
    parser.add_argument("--pause")
    parser.add_argument("--call", type=int, default=1)
    parser.add_argument("--shift", type=float, default=0.0)
    parser.add_argument("--role", default=_ROLES)
    wanted = parser.parse_args(arguments)
    if wanted.shift:
        from tests.support.chaos_clock import shift_wall_clock

        shift_wall_clock(wanted.shift)
    from usher.cli.services import serve

    for point, blow in ((wanted.kill, signal.SIGKILL), (wanted.pause, signal.SIGSTOP)):
        if point:
            from tests.support.chaos_points import parse_point, wound

            wound(parse_point(point), blow, call=wanted.call)
    serve(wanted.role)


if __name__ == "__main__":
    main()
