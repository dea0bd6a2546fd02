"""Becomes a server that dies with the process that started it. A script of its own, standard library only.

Started as `python -I -S guard.py PARENT_PID SIGNAL IDENTITY COMMAND…` and replaced by COMMAND (same process id).
A script rather than a `preexec_fn`: no Python runs between fork and exec of a process that has threads, and every
event loop can start it.

IDENTITY is `same` (as is), `UID:GID` (give up root for that user) or `mapped:UID:GID` (a user namespace in which the
present user carries that id; outside of it nothing changes, so files keep their owner).

The order matters: the kernel forgets the death signal when the effective user changes.
Source: man 2 PR_SET_PDEATHSIG, man 7 user_namespaces.
"""

import ctypes
import os
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000


def main(parent_pid: int, death_signal: int, identity: str, command: list[str]) -> None:
    """Take on the identity, tie the life of this process to its parent's, and become the command."""
    if identity.startswith("mapped:"):
        _enter_namespace(*(int(part) for part in identity.split(":")[1:]))
    elif identity != "same":
        _give_up_root(*(int(part) for part in identity.split(":")))
    if sys.platform == "linux":
        _call("prctl", _PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent_pid:
        raise SystemExit("The process that asked for this server has already ended.")
    os.execv(command[0], command)  # noqa: S606 - an exact path from this package, and no shell is wanted


def _enter_namespace(user_id: int, group_id: int) -> None:
    outer_user, outer_group = os.geteuid(), os.getegid()
    _call("unshare", _CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user_id} {outer_user} 1")
    Path("/proc/self/gid_map").write_text(f"{group_id} {outer_group} 1")


def _give_up_root(user_id: int, group_id: int) -> None:
    os.setgroups([])
    os.setgid(group_id)
    os.setuid(user_id)


def _call(function: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function}: {os.strerror(error)}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
