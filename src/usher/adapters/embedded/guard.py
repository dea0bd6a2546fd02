"""Becomes a server that dies with the process that started it. A script of its own, standard library only.

Started as `python -I -S guard.py PARENT_PID SIGNAL IDENTITY COMMAND…` and replaced by COMMAND (same process id).
A script rather than a `preexec_fn`: no Python runs between fork and exec of a process that has threads, and every
event loop can start it.

IDENTITY is one of

* `same`: as is;
* `mapped:UID:GID`: a user namespace in which the present user carries that id; outside of it nothing changes, so files
  keep their owner;
* `switched:UID:GID`: give up root for that user;
* `reaching:UID:GID`: the same, keeping the one right to reach files wherever they are, as below a closed directory.

The order matters: the kernel forgets the death signal when the effective user changes.
Source: man 2 PR_SET_PDEATHSIG, man 7 user_namespaces, man 7 capabilities.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_NO_SETUID_FIXUP = 1 << 2
_CLONE_NEWUSER = 0x10000000
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1


def main(parent_pid: int, death_signal: int, identity: str, command: list[str]) -> None:
    """Take on the identity, tie the life of this process to its parent's, and become the command."""
    kind, *ids = identity.split(":")
    _IDENTITIES[kind](*map(int, ids))
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


def _switch_user(user_id: int, group_id: int) -> None:
    os.setgroups([])
    os.setgid(group_id)
    os.setuid(user_id)


def _switch_user_and_reach(user_id: int, group_id: int) -> None:
    # Without this the switch takes every right away, and access(2), which initdb asks, would ignore it.
    _call("prctl", _PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0)
    _switch_user(user_id, group_id)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    right = 1 << _CAP_DAC_OVERRIDE
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(right, right, right, 0, 0, 0)
    _call("capset", header, effective_permitted_inheritable)
    _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


_IDENTITIES: dict[str, Callable[..., None]] = {
    "same": lambda: None,
    "mapped": _enter_namespace,
    "switched": _switch_user,
    "reaching": _switch_user_and_reach,
}


def _call(function: str, *arguments: int | ctypes.Array[ctypes.c_uint32]) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{function}: {os.strerror(error)}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
