"""The bot of the launcher contract as a program: behaves as the variable `BEHAVIOUR` says. Standard library only."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_SLEEPER = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("bred", flush=True)
time.sleep(600)
"""


def _obey(*_: object) -> None:
    sys.exit(0)


def _note_and_ignore(*_: object) -> None:
    sys.stdout.write("ignored\n")
    sys.stdout.flush()


def main() -> None:
    behaviour, _, argument = os.environ["BEHAVIOUR"].partition(":")
    signal.signal(signal.SIGTERM, _note_and_ignore if behaviour == "ignore" else _obey)
    sys.stdout.write(f"{behaviour} {os.environ.get('SECRET', '')}\n")
    sys.stdout.flush()
    if behaviour == "exit":
        sys.exit(int(argument))
    if behaviour == "bequeath":
        Path(os.environ["USHER_LAST_WORDS"]).write_bytes(b"w" * int(argument))
        sys.exit(0)
    if behaviour == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "print":
        sys.stdout.write("x" * int(argument) + "end")
        sys.exit(0)
    if behaviour in ("breed", "breed-and-exit"):
        _breed()
    if behaviour == "breed-and-exit":
        sys.exit(0)
    while True:
        time.sleep(0.05)


def _breed() -> None:
    """Leave two grandchildren in sessions of their own; one of them also forgot its environment."""
    sleeper = [sys.executable, "-c", _SLEEPER, os.environ["USHER_WORKLOAD"]]
    for tail in (")", ", env={})"):
        parent = f"import subprocess; subprocess.Popen({sleeper!r}, start_new_session=True{tail}"
        subprocess.run([sys.executable, "-c", parent], check=True)  # noqa: S603 - the command is our own


if __name__ == "__main__":
    main()
