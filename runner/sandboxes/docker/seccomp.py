"""The system calls that a program in a container may make: named ones, and no others.

The engine has a list of its own, which differs from version to version: older ones let `io_uring` and sockets
of virtual machines (AF_VSOCK) through, which reach past a network that is not there.

The format: https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

_FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock
fremovexattr fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch lchown lgetxattr link linkat listxattr
llistxattr lremovexattr lseek lsetxattr lstat memfd_create mkdir mkdirat mknod mknodat name_to_handle_at
newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead
readlink readlinkat readv removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs
statx symlink symlinkat sync sync_file_range sync_file_range2 syncfs tee truncate umask unlink unlinkat utime
utimensat utimes vmsplice write writev
""".split()  # noqa: SIM905 - a list of words reads best as words

_PROCESSES = """
alarm arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_wait
futex_waitv futex_wake get_robust_list get_thread_area getcpu getegid geteuid getgid getgroups getitimer
getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid getuid
ioprio_get ioprio_set kill landlock_add_rule landlock_create_ruleset landlock_restrict_self membarrier
pause pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease process_vm_readv process_vm_writev ptrace
restart_syscall riscv_flush_icache riscv_hwprobe rseq rt_sigaction rt_sigpending rt_sigprocmask
rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
set_robust_list set_thread_area set_tid_address setfsgid setfsuid setgid setgroups setitimer setpgid
setpriority setregid setresgid setresuid setreuid setrlimit setsid setuid sigaltstack signalfd signalfd4
swapcontext sysinfo tgkill tkill uname vfork wait4 waitid
""".split()  # noqa: SIM905

_MEMORY = """
brk cachestat madvise map_shadow_stack memfd_secret mincore mlock mlock2 mlockall mmap mprotect mremap mseal
msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages
""".split()  # noqa: SIM905

_TALK = """
accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2
epoll_wait epoll_wait_old eventfd eventfd2 getpeername getsockname getsockopt io_cancel io_destroy
io_getevents io_pgetevents io_setup io_submit listen mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd poll ppoll pselect6 recvfrom recvmmsg recvmsg select semctl
semget semop semtimedop sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown
""".split()  # noqa: SIM905

_TIME = """
adjtimex clock_adjtime clock_getres clock_gettime clock_nanosleep getrandom gettimeofday nanosleep time
timer_create timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime
timerfd_settime times
""".split()  # noqa: SIM905

_FAMILIES = (1, 2, 10, 16)  # AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, by which programs read their addresses
_INT = 0xFFFFFFFF  # the kernel reads this much of a register: another word in its upper half changes nothing
_NAMESPACES = 0x7E020000  # every CLONE_NEW flag: containers in the container
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0x40000, 0xFFFFFFFF)
"""Linux as it is, with the parts of uname that old programs need, without random addresses; and to ask."""

_NOT_IMPLEMENTED = 38  # ENOSYS: C libraries use the older call then, whose flags can be read

_NOT_SUPPORTED = 95  # EOPNOTSUPP, as file systems without this call answer: programs write instead
_RESERVE = 0x40305800
"""The ioctls of fallocate, FS_IOC_RESVSP and its like, without their last eight bits."""


@cache
def profile() -> str:
    """The profile as the engine takes it. Programs of another architecture than its own are not run."""
    allowed = [*_FILES, *_PROCESSES, *_MEMORY, *_TALK, *_TIME]
    calls: list[dict[str, Any]] = [
        {"names": allowed, "action": "SCMP_ACT_ALLOW"},
        *(_allow("socket", _is(0, family)) for family in _FAMILIES),
        _allow("socketpair", _is(0, 1)),
        *(_allow("personality", _is(0, kind)) for kind in _PERSONALITIES),
        _allow("clone", _without(0, _NAMESPACES)) | {"excludes": {"arches": ["s390", "s390x"]}},
        _allow("clone", _without(1, _NAMESPACES)) | {"includes": {"arches": ["s390", "s390x"]}},
        # Room for many files taken in no time, before anybody can see that the disk fills.
        {"names": ["fallocate"], "action": "SCMP_ACT_ERRNO", "errnoRet": _NOT_SUPPORTED},
        *(_allow("ioctl", _differs(1, _RESERVE, 1 << bit)) for bit in range(8, 32)),
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _NOT_IMPLEMENTED},
    ]
    return json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": calls})


def _allow(name: str, argument: Mapping[str, Any]) -> dict[str, Any]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": [dict(argument)]}


def _is(index: int, value: int) -> dict[str, Any]:
    return {"index": index, "op": "SCMP_CMP_MASKED_EQ", "value": _INT, "valueTwo": value}


def _differs(index: int, value: int, bit: int) -> dict[str, Any]:
    return {"index": index, "op": "SCMP_CMP_MASKED_EQ", "value": bit, "valueTwo": ~value & bit}


def _without(index: int, flags: int) -> dict[str, Any]:
    return {"index": index, "op": "SCMP_CMP_MASKED_EQ", "value": flags, "valueTwo": 0}
