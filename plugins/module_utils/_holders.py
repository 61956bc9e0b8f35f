# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Who has a tap open."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator

from ansible_collections.linuxnet.macvtap.plugins.module_utils._model import Holder
from ansible_collections.linuxnet.macvtap.plugins.module_utils._names import printable

# the same number on every architecture (Linux 5.6)
_SYS_PIDFD_GETFD = 438
#: linux/if_tun.h
_TUNGETIFF = 0x800454D2
_IFREQ_BYTES = 40
_INIT = 1


def holders(
    numbers: Iterable[tuple[int, int]], hidden: list[Holder] | None = None
) -> dict[tuple[int, int], list[Holder]]:
    """The processes that have one of these devices open, from one pass over /proc.

    Opening the node would not tell: macvtap has no exclusive open, and every open adds a queue.

    :arg hidden: gets the processes whose open files may not be seen, which takes CAP_SYS_PTRACE for those of others
        (proc_fd_access_allowed in fs/proc/base.c): each of them may be a holder. Not process 1: the init of a host or
        the supervisor of a container, often hidden from what it runs, starts guests and is none.
    """
    devices = {os.makedev(*number): number for number in numbers}
    found: dict[tuple[int, int], list[Holder]] = {}
    if not devices:
        return found
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        try:
            held = {device for device, fd in _open_devices(pid) if device in devices and _is_live(pid, fd)}
        except PermissionError:
            held = set()
            if hidden is not None and pid != _INIT:
                hidden.append(Holder(pid, _command(pid)))
        for device in held:
            found.setdefault(devices[device], []).append(Holder(pid, _command(pid)))
    return found


def _open_devices(pid: int) -> Iterator[tuple[int, int]]:
    """(device, descriptor) of each character device that a process has open.

    :raises PermissionError: when they may not be seen.
    """
    directory = "/proc/%d/fd" % pid
    try:
        names = os.listdir(directory)
    except PermissionError:
        raise
    except OSError:
        # the process ended, or is a kernel thread
        return
    for name in names:
        path = "%s/%s" % (directory, name)
        try:
            found = os.stat(path)
        except PermissionError:
            # the process is hidden, or only the file: somebody's FUSE file system, which has no taps
            with contextlib.suppress(FileNotFoundError):
                os.readlink(path)
            continue
        except OSError:
            # closed meanwhile, or on a dead network file system: no tap
            continue
        if stat.S_ISCHR(found.st_mode):
            yield found.st_rdev, int(name)


def _is_live(pid: int, fd: int) -> bool:
    """False for a tap whose link is gone: its descriptor stays open, and its minor may be another link's by now.

    The kernel tells it apart (ENOLINK, tap_ioctl in drivers/net/tap.c), but only through the descriptor itself, which
    is borrowed for that. Where it cannot be, the process counts as a holder.
    """
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        borrowed = ctypes.CDLL(None, use_errno=True).syscall(_SYS_PIDFD_GETFD, process, fd, 0)
    finally:
        os.close(process)
    if borrowed < 0:
        return ctypes.get_errno() not in (errno.ESRCH, errno.EBADF)
    try:
        fcntl.ioctl(borrowed, _TUNGETIFF, bytes(_IFREQ_BYTES))
    except OSError as exc:
        return exc.errno != errno.ENOLINK
    finally:
        os.close(borrowed)
    return True


def _command(pid: int) -> str:
    """Its name, which it may choose, escape sequences included."""
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as file:
            return printable(file.read().strip())
    except OSError:
        return "?"
