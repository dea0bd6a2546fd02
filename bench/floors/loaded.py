"""A program that loads what a bot loads, says so on a Unix socket, and ends: `python loaded.py SOCKET`."""

import socket
import sys


def main() -> None:
    """Load, and say so."""
    import usher.bot.session  # noqa: F401, PLC0415 - loading it is what takes the time

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as finish:
        finish.sendto(b".", sys.argv[1])


if __name__ == "__main__":
    main()
