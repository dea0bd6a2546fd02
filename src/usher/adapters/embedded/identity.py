"""Under which user PostgreSQL runs: it refuses to be root.

Root inside a user namespace that maps it to an ordinary id is the first choice: the files stay root's and nothing has
to be opened to others. Where namespaces are forbidden (Docker's default profile), an ordinary system user takes over;
one that keeps root's right to reach files, if the files are below a directory that is closed to others.
"""

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from usher.domain.errors import Unavailable

GUARD = Path(__file__).with_name("guard.py")
_NOBODY = 65534
_PROBE_S = 10.0


@dataclass(frozen=True, slots=True)
class Identity:
    """A user to run as.

    Attributes:
        spec: How the guard is told.
        owner: User and group that its files belong to, as seen from this process.
    """

    spec: str
    owner: tuple[int, int]


def choose_identity(program: Path, data_dir: Path) -> Identity:
    """Return the first user that may run the program and write in the data directory.

    Args:
        program: Executable that refuses to run as root.
        data_dir: Existing directory of its files; handed over to the chosen user.

    Raises:
        Unavailable: There is none; the message says what stood in the way of each.
    """
    obstacles = []
    for identity in _candidates(program):
        _hand_over(data_dir, identity)
        obstacle = _find_obstacle(identity, program, data_dir)
        if obstacle is None:
            return identity
        obstacles.append(f"{identity.spec}: {obstacle}")
    raise Unavailable(
        "PostgreSQL cannot run here: it wants a named user other than root, and none will do "
        f"({'; '.join(obstacles)}). "
        "Run Usher as an ordinary user, or set USHER_DATABASE__DSN to a PostgreSQL of your own."
    )


def _candidates(program: Path) -> Iterator[Identity]:
    user, group = os.geteuid(), os.getegid()
    if user != 0 and _is_named(user):
        yield Identity("same", (user, group))
        return
    # initdb wants a name for its user id, so the mapped id is one that every system names.
    yield Identity(f"mapped:{_NOBODY}:{_NOBODY}", (user, group))
    if user == 0:
        owners = {program.stat().st_uid, *(entry.pw_uid for entry in _system_users())} - {0}
        users = [pwd.getpwuid(owner) for owner in sorted(owners) if _is_named(owner)]
        for kind in ("switched", "reaching"):
            for entry in users:
                yield Identity(f"{kind}:{entry.pw_uid}:{entry.pw_gid}", (entry.pw_uid, entry.pw_gid))


def _system_users() -> Iterator[pwd.struct_passwd]:
    for name in ("postgres", "nobody"):
        try:
            yield pwd.getpwnam(name)
        except KeyError:
            continue


def _is_named(user_id: int) -> bool:
    try:
        return bool(pwd.getpwuid(user_id).pw_name)
    except KeyError:
        return False


def _hand_over(directory: Path, identity: Identity) -> None:
    if os.geteuid() != 0 or directory.stat().st_uid == identity.owner[0]:
        return
    for path in (directory, *directory.rglob("*")):
        os.chown(path, *identity.owner, follow_symlinks=False)


def _find_obstacle(identity: Identity, program: Path, data_dir: Path) -> str | None:
    test = ("/bin/sh", "-c", 'test -w "$1" && exec "$0" --version', str(program), str(data_dir))
    try:
        probe = subprocess.run(  # noqa: S603 - paths of this package, passed as arguments and never as code
            guarded(identity, 9, test), capture_output=True, text=True, timeout=_PROBE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PROBE_S:.0f} s"
    if probe.returncode == 0:
        return None
    lines = probe.stderr.strip().splitlines()
    return lines[-1] if lines else f"cannot reach {data_dir} or {program}"


def guarded(identity: Identity, death_signal: int, command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command line that runs a command under an identity, and ends it when this process dies."""
    return (
        sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), str(death_signal), identity.spec, *command
    )  # fmt: skip
