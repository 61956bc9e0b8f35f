# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The open descriptors of other processes, read from /proc so that no process can make the reader wait.

A file on a FUSE mount whose server is stopped hangs stat() for ever; the text of its link in /proc and statx() without
synchronization do not ask the server.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import re
import stat
import struct
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_libc = ctypes.CDLL(None, use_errno=True)
# the same numbers on every architecture (Linux 5.6)
_SYS_PIDFD_GETFD = 438
#: linux/kcmp.h; its numbers: arch/*/entry/syscalls, include/uapi/asm-generic/unistd.h
_SYS_KCMP = {"x86_64": 312, "aarch64": 272, "riscv64": 272, "loongarch64": 272, "ppc64le": 354, "s390x": 343}
_KCMP_FILE, _KCMP_FILES = 0, 2
#: linux/pidfd.h (Linux 6.9): a pidfd of a thread
_PIDFD_THREAD = os.O_EXCL
# linux/fcntl.h, and where struct statx of linux/stat.h has mode and device number
_AT_FDCWD, _AT_NO_AUTOMOUNT, _AT_STATX_DONT_SYNC = -100, 0x800, 0x4000
_STATX_BYTES, _MODE, _RDEV = 256, (struct.Struct("=H"), 28), (struct.Struct("=II"), 128)
#: file systems that ask their server even when the end of a path is a link in /proc (d_weak_revalidate), or for every
#: statx()
_REMOTE = frozenset(("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs"))
#: descriptors that a unix socket (Linux 5.11) or an io_uring instance holds beside the table
_PARKED = re.compile(rb"(?:scm_fds|UserFiles):\s*[1-9]")
_MOUNT = re.compile(rb"mnt_id:\s*(\d+)")
_FLAGS = re.compile(rb"flags:\s*([0-7]+)")
_FDINFO_BYTES = 4096


class OutOfTime(Exception):
    """The deadline has passed."""


class Descriptor(NamedTuple):
    """One entry of a table."""

    number: int
    #: device number of a character device, None of anything else
    device: int | None = None
    #: True for a socket with descriptors in flight, or an io_uring instance with registered files
    is_parking: bool = False


def count(pid: int) -> int:
    """How many descriptors the leader of a process has (Linux 6.2); 0 where that is not known."""
    try:
        return os.stat(f"/proc/{pid}/fd").st_size
    except OSError:
        return 0


def threads_with_tables(pid: int, deadline: float) -> Iterator[int]:
    """One thread for each table of descriptors in a process: mostly the leader alone.

    A thread may have a table of its own (CLONE_FILES), and outlives a leader that ended.
    """
    try:
        threads = sorted(map(int, os.listdir(f"/proc/{pid}/task")), key=lambda thread: (thread != pid, thread))
    except OSError:
        return
    seen: list[int] = []
    for thread in threads:
        _require_time(deadline)
        # mostly all have the same one; of those with others the neighbours are the likeliest to share
        if not any(_share_table(thread, other) for other in seen[:1] + seen[-1:]):
            seen.append(thread)
            yield thread


def of_thread(pid: int, thread: int, deadline: float) -> Iterator[Descriptor]:
    """The descriptors of one table.

    :raises PermissionError: when they may not be seen.
    :raises OutOfTime: at the deadline.
    """
    directory = f"/proc/{pid}/task/{thread}/fd"
    try:
        names = os.listdir(directory)
    except PermissionError:
        raise
    except OSError:
        # it ended, or is a kernel thread
        return
    remote = None
    for name in names:
        _require_time(deadline)
        path = f"{directory}/{name}"
        try:
            text = os.readlink(path)
        except PermissionError:
            raise
        except OSError:
            continue
        if text.startswith("/"):
            remote = _remote_mounts(pid) if remote is None else remote
            if not remote or _mount_of(directory, name) not in remote:
                yield Descriptor(int(name), _character_device(path))
        elif text.startswith(("socket:", "anon_inode:[io_uring]")):
            yield Descriptor(int(name), is_parking=bool(_PARKED.search(_information(directory, name))))


@contextlib.contextmanager
def borrowed(thread: int, number: int) -> Iterator[tuple[int | None, int]]:
    """A copy of a thread's descriptor, closed afterwards; only for devices: a close may ask a file system's server.

    :returns: (descriptor, 0), or (None, errno).
    """
    try:
        process = _pidfd(thread)
    except OSError as exc:
        yield None, exc.errno or 0
        return
    try:
        descriptor = _libc.syscall(_SYS_PIDFD_GETFD, process, number, 0)
        error = ctypes.get_errno()
    finally:
        os.close(process)
    if descriptor < 0:
        yield None, error
        return
    try:
        yield descriptor, 0
    finally:
        os.close(descriptor)


def is_opened(pid: int, thread: int, number: int) -> bool:
    """False for a descriptor with O_PATH, and for one that is gone."""
    found = _FLAGS.search(_information(f"/proc/{pid}/task/{thread}/fd", str(number)))
    return found is not None and not int(found.group(1), 8) & os.O_PATH


def count_files(places: Iterable[tuple[int, int]]) -> int | None:
    """How many open files these descriptors (thread, number) are, of which dup() and fork() make more than one each.

    :returns: those that are gone do not count; None = the kernel does not say.
    """

    def order(one: tuple[int, int], other: tuple[int, int]) -> int:
        return {1: -1, 2: 1}.get(_compare(one[0], other[0], _KCMP_FILE, one[1], other[1]), 0)

    given = list(places)
    there = [(thread, number) for thread, number in given if not _compare(thread, thread, _KCMP_FILE, number, number)]
    if given and not there:
        return None
    there.sort(key=functools.cmp_to_key(order))
    return sum(order(one, other) != 0 for one, other in zip(there, there[1:])) + bool(there)


def _pidfd(thread: int) -> int:
    try:
        return os.pidfd_open(thread, _PIDFD_THREAD)
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise
    # an older kernel, which knows processes only: EINVAL again for a thread
    return os.pidfd_open(thread)


def _share_table(one: int, other: int) -> bool:
    """Whether two threads have the same table; where the kernel does not say, no."""
    return _compare(one, other, _KCMP_FILES) == 0


def _compare(one: int, other: int, what: int, first: int = 0, second: int = 0) -> int:
    """kcmp(2): 0 = the same, 1 and 2 = an order, -1 = the kernel does not say."""
    number = _SYS_KCMP.get(os.uname().machine)
    return -1 if number is None else _libc.syscall(number, one, other, what, first, second)


def _character_device(path: str) -> int | None:
    """The device number of a character device, None of anything else, and of what cannot be looked at."""
    buffer = ctypes.create_string_buffer(_STATX_BYTES)
    # no field is asked for, so that no file system has to ask for it; these are nevertheless filled in from memory
    if _libc.statx(_AT_FDCWD, os.fsencode(path), _AT_NO_AUTOMOUNT | _AT_STATX_DONT_SYNC, 0, buffer):
        return None
    (mode,), (major, minor) = (shape.unpack_from(buffer, offset) for shape, offset in (_MODE, _RDEV))
    return os.makedev(major, minor) if stat.S_ISCHR(mode) else None


def _remote_mounts(pid: int) -> frozenset[bytes]:
    """IDs of the mounts that a process sees and whose server must not be asked."""
    found = set()
    with contextlib.suppress(OSError), open(f"/proc/{pid}/mountinfo", "rb") as file:
        for line in file:
            facts, _dash, rest = line.partition(b" - ")
            if rest.split(b" ", 1)[0].decode() in _REMOTE:
                found.add(facts.split(b" ", 1)[0])
    return frozenset(found)


def _mount_of(directory: str, name: str) -> bytes:
    found = _MOUNT.search(_information(directory, name))
    return found.group(1) if found else b""


def _information(directory: str, name: str) -> bytes:
    try:
        descriptor = os.open(f"{directory}info/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, _FDINFO_BYTES)
        finally:
            os.close(descriptor)
    except OSError:
        return b""


def _require_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise OutOfTime
