"""The system calls that a bot's container may make: everything else is refused by the kernel.

Docker's own default profile refuses an unprivileged process a user namespace. Chromium builds its sandbox out of one,
so that with the default profile the sandbox has to be switched off, and a page that takes over a renderer has taken
over the bot. This profile is stricter than the default in what it allows at all, and lets a process make the
namespaces of Chromium's sandbox: user, PID and network, and a root folder of its own in them. It refuses the mount,
UTS, IPC and cgroup namespaces, entry into existing ones, and `clone3`, whose flags a filter cannot see: the C library
then takes `clone`.

Source: docs.docker.com/engine/security/seccomp (format; what the default profile refuses); clone(2), unshare(2),
seccomp(2); Chromium's docs/linux/sandboxing.md (the sandbox with user namespaces).
"""

_EPERM, _ENOSYS = 1, 38

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC = 0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000
_FORBIDDEN_NAMESPACES = _NEWNS | _NEWCGROUP | _NEWUTS | _NEWIPC

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCKET_FAMILIES = (_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK)
"""Families of sockets that are allowed; Chromium hears over netlink that the network has changed."""

_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFF_FFFF)
"""`personality` may ask, and set Linux or Linux of an older version number; not switch protections off."""

_FILES = """
    access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
    fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
    fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr lchown lgetxattr link linkat
    listxattr llistxattr lremovexattr lseek lsetxattr lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2
    pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr rename
    renameat renameat2 rmdir sendfile setxattr splice stat statfs statx symlink symlinkat sync sync_file_range syncfs
    tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev
"""
_WAITING = """
    epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 inotify_add_watch
    inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit
    pipe pipe2 poll ppoll pselect6 select signalfd signalfd4 timerfd_create timerfd_gettime timerfd_settime
"""
_MEMORY = """
    brk cachestat get_mempolicy madvise map_shadow_stack membarrier memfd_create mincore mlock mlock2 mlockall mmap
    mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_madvise
    remap_file_pages shmat shmctl shmdt shmget
"""
_PROCESSES = """
    arch_prctl capget capset chroot execve execveat exit exit_group fork getcpu getegid geteuid getgid getgroups getpgid
    getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid ioprio_get
    ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self pause pidfd_getfd pidfd_open
    pidfd_send_signal prctl prlimit64 rseq sched_get_priority_max sched_get_priority_min sched_getaffinity
    sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_setaffinity sched_setattr
    sched_setparam sched_setscheduler sched_yield seccomp set_robust_list set_tid_address setfsgid setfsuid setgid
    setgroups setpgid setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid tgkill tkill times
    vfork wait4 waitid
"""
_SIGNALS_AND_LOCKS = """
    alarm futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list getitimer mq_getsetattr mq_notify
    mq_open mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd restart_syscall rt_sigaction
    rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo semctl
    semget semop semtimedop setitimer sigaltstack
"""
_TIME_AND_MACHINE = """
    clock_getres clock_gettime clock_nanosleep getrandom gettimeofday ioctl nanosleep sysinfo time timer_create
    timer_delete timer_getoverrun timer_gettime timer_settime uname
"""
_NETWORK = """
    accept accept4 bind connect getpeername getsockname getsockopt listen recvfrom recvmmsg recvmsg sendmmsg sendmsg
    sendto setsockopt shutdown socketpair
"""
_GROUPS = (_FILES, _WAITING, _MEMORY, _PROCESSES, _SIGNALS_AND_LOCKS, _TIME_AND_MACHINE, _NETWORK)


def seccomp_profile() -> dict[str, object]:
    """Return the profile in the format that Docker takes."""
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": _EPERM,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": [
            _allow(*sorted(name for group in _GROUPS for name in group.split())),
            _allow("clone", "unshare", where=("SCMP_CMP_MASKED_EQ", _FORBIDDEN_NAMESPACES)),
            *(_allow("socket", where=("SCMP_CMP_EQ", family)) for family in _SOCKET_FAMILIES),
            *(_allow("personality", where=("SCMP_CMP_EQ", number)) for number in _PERSONALITIES),
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
        ],
    }


def _allow(*names: str, where: tuple[str, int] | None = None) -> dict[str, object]:
    """Allow calls, or those whose first argument compares so: masked with the number, it has to be 0."""
    rule: dict[str, object] = {"names": [*names], "action": "SCMP_ACT_ALLOW"}
    if where is not None:
        rule["args"] = [{"index": 0, "value": where[1], "valueTwo": 0, "op": where[0]}]
    return rule
