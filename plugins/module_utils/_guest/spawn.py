# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The start of a process that outlives the module and knows nothing of it."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

from .._core.errors import HostError
from .plan import Process
from .process import look
from .qemu import FIRST_FD

#: all that QEMU gets to know of our environment, in which a play may keep passwords
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
#: keyctl(2) by machine: no library of Python's or of C's calls it
_SYS_KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219, "ppc64le": 271, "ppc64": 271, "s390x": 280}
_KEYCTL_JOIN_SESSION_KEYRING = 1


def spawn(command: Sequence[str], descriptors: Sequence[int], log: int) -> Process:
    """Start a process of its own session that outlives us, which run_command would wait for.

    It inherits none of our environment, working directory, umask, ignored or blocked signals, keys, or other
    descriptors, and no chance of a core file, which would hold the guest's memory. Limits, niceness, affinity and
    cgroup stay: they are the administrator's.

    :arg descriptors: become the process's descriptors 3, 4 …
    :arg log: descriptor for what the process prints.
    :returns: the process.
    """
    # Far away first: a target number may be the number of a descriptor that is yet to be moved.
    base = FIRST_FD + len(descriptors)
    reader, near = os.pipe()
    far = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, base) for descriptor in [*descriptors, log, near]]
    os.close(near)
    pid = os.fork()
    if pid == 0:
        _become(command, *far)
    for descriptor in far:
        os.close(descriptor)
    with open(reader, "rb") as pipe:
        # closed without a word when the command took over
        number = pipe.read()
    if number:
        os.waitpid(pid, 0)
        raise HostError(f"cannot start {command[0]}: {os.strerror(int(number))}", int(number))
    return look(pid) or Process(pid, 0)


def _become(command: Sequence[str], *far: int) -> NoReturn:
    """In the new process: be the command, or tell the errno.

    :arg far: its descriptors 3, 4 …, the log, and where to tell.
    """
    *descriptors, log, teller = far
    try:
        os.setsid()
        _forget_ours()
        for source, target in [(os.open(os.devnull, os.O_RDONLY), 0), (log, 1), (log, 2)]:
            os.dup2(source, target)
        for target, source in enumerate(descriptors, FIRST_FD):
            os.dup2(source, target)
        # Whatever Ansible's connection left open for us is not for the guest.
        for inherited in _inheritable():
            if inherited >= FIRST_FD + len(descriptors):
                os.close(inherited)
        os.execve(command[0], list(command), _ENVIRONMENT)
    except OSError as exc:
        os.write(teller, b"%d" % (exc.errno or errno.EIO))
    finally:
        os._exit(1)


def _inheritable() -> list[int]:
    result = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.get_inheritable(int(name)):
                result.append(int(name))
        except OSError:
            continue
    return result


def _forget_ours() -> None:
    """In the new process: leave behind what an exec would hand on."""
    os.chdir("/")
    os.umask(0o077)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        # two of them are the C library's own
        with contextlib.suppress(OSError):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    keyctl = _SYS_KEYCTL.get(os.uname().machine)
    if keyctl is not None and sys.maxsize >> 32:
        # where the kernel has no keys it fails, and there are none to inherit
        ctypes.CDLL(None).syscall(keyctl, _KEYCTL_JOIN_SESSION_KEYRING, None)
