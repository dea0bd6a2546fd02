"""Runs inside a bot's container and says, as JSON, what it can do there. Standard library only."""

import ctypes
import errno
import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

_CLONE = {"user": 0x1000_0000, "pid": 0x2000_0000, "net": 0x4000_0000, "mount": 0x0002_0000, "uts": 0x0400_0000}
_AF_ALG, _AF_PACKET = 38, 17
_CLONE3, _IO_URING = 435, 425
_KEYCTL, _BPF = {"x86_64": (250, 321), "aarch64": (219, 280)}[os.uname().machine]
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    told = {
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": os.getgroups(),
        "capabilities": [int(status[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
        "no_new_privileges": status["NoNewPrivs"],
        "seccomp": status["Seccomp"],
        "writable": {path: _can_write(path) for path in sys.argv[1:]},
        "shm_bytes": _size("/dev/shm"),  # noqa: S108 - its size is asked for
        "tmp_bytes": _size("/tmp"),  # noqa: S108 - as above
        "first_process": Path("/proc/1/cmdline").read_text().split("\0")[0],
        "arguments": [one.read_text() for one in Path("/proc").glob("[0-9]*/cmdline")],
        "namespaces": {
            kind: _forked(_unshare, *dict.fromkeys((_CLONE["user"], flag))) for kind, flag in _CLONE.items()
        },
        "mount_namespace_alone": _forked(_unshare, _CLONE["mount"]),
        "chroot_in_own_namespace": _forked(_chroot),
        "chroot": _result(_libc.chroot(b"/tmp")),
        "mount": _result(_libc.mount(b"none", b"/tmp", b"tmpfs", 0, None)),
        "ptrace": _result(_libc.ptrace(0, 0, None, None)),
        "keyctl": _result(_libc.syscall(_KEYCTL, 0, -3, 0)),
        "bpf": _result(_libc.syscall(_BPF, 0, None, 0)),
        "io_uring": _result(_libc.syscall(_IO_URING, 1, None)),
        "clone3": _result(_libc.syscall(_CLONE3, None, 0)),
        "sockets": {str(family): _can_open(family) for family in (socket.AF_INET, _AF_ALG, _AF_PACKET)},
    }
    sys.stdout.write(json.dumps(told))


def _can_write(path: str) -> bool:
    try:
        probe = Path(path) / "probe"
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


def _size(path: str) -> int:
    found = os.statvfs(path)
    return found.f_blocks * found.f_frsize


def _result(returned: int) -> str:
    return "" if returned >= 0 else errno.errorcode[ctypes.get_errno()]


def _unshare(*flags: int) -> str:
    for flag in flags:
        if problem := _result(_libc.unshare(flag)):
            return problem
    return ""


def _chroot() -> str:
    """Do what Chromium's sandbox does with a process that is to see no files."""
    return _unshare(_CLONE["user"]) or _result(_libc.chroot(b"/proc/self/fdinfo"))


def _forked(act: Callable[..., str], *arguments: int) -> str:
    """Do it in a process of its own, because it cannot be undone."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, act(*arguments).encode() or b"-")
        os._exit(0)
    os.waitpid(child, 0)
    return os.read(reader, 100).decode().strip("-")


def _can_open(family: int) -> bool:
    try:
        socket.socket(family, socket.SOCK_STREAM if family == socket.AF_INET else socket.SOCK_RAW).close()
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
