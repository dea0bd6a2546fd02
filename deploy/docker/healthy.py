"""Asks the service of this container for its health; exit code 0 if it is well. Standard library only.

`healthy.py GROUP PORT`: it listens where USHER_<GROUP>__HOST and USHER_<GROUP>__PORT say, on PORT if they say nothing.
"""

import http.client
import os
import sys

_TIMEOUT_S = 4.0
_ANY = {"", "0.0.0.0", "::"}  # noqa: S104 - it is compared with, not listened on


def main() -> int:
    """Ask once and return the exit code."""
    group, port = sys.argv[1:]
    host = os.environ.get(f"USHER_{group}__HOST", "")
    port = os.environ.get(f"USHER_{group}__PORT", port)
    connection = http.client.HTTPConnection("127.0.0.1" if host in _ANY else host, int(port), timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        print(answer.status, answer.read(2048).decode(errors="replace"))  # noqa: T201 - `docker inspect` shows it
    except (OSError, http.client.HTTPException) as error:
        print(error)  # noqa: T201 - as above
        return 1
    else:
        return 0 if answer.status == http.HTTPStatus.OK else 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
