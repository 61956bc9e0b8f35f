# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Locks between runs, on files that only root can open.

A lock on what every user may open for reading (a namespace file, a directory of /etc) is every user's to take and to
keep: flock(2) asks for nothing but an open descriptor.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator

from .._core.errors import HostError, Refused, host_error

#: holds the lock files; created on first use
DIRECTORY = "/run/linuxnet-macvtap"
#: seconds; a run over thousands of links takes a few
_PATIENCE = 300.0
_PAUSE = 0.02


@contextlib.contextmanager
def namespace_lock() -> Iterator[HostError | None]:
    """One run at a time in a network namespace: two of them would look at the same free name, and plan for it.

    :returns: None, or why this user cannot hold it: to be raised before the first change. Whoever has nothing to
        change needs neither lock nor privileges.
    :raises HostError, Refused: as :func:`hold`.
    """
    denied = None
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(hold(f"net-{os.stat('/proc/self/ns/net').st_ino}"))
        except HostError as exc:
            if exc.errno not in (errno.EACCES, errno.EPERM):
                raise
            denied = exc
        yield denied


@contextlib.contextmanager
def hold(name: str) -> Iterator[None]:
    """Hold the lock of that name. It goes with the process, however that ends; its empty file stays until a reboot.

    :arg name: of a file in :data:`DIRECTORY`.
    :raises HostError: the lock file cannot be opened, or another process keeps it for 300 seconds.
    :raises Refused: others than this user can write to the directory.
    """
    descriptor = _open(name)
    deadline = time.monotonic() + _PATIENCE
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if time.monotonic() > deadline:
                    raise HostError(
                        f"nothing was changed: {_holder(os.fstat(descriptor))} has held the lock"
                        f" {DIRECTORY}/{name} for {_PATIENCE} s; if that run hangs, end it and run"
                        " again"
                    ) from exc
                time.sleep(_PAUSE)
        yield
    finally:
        os.close(descriptor)


def _open(name: str) -> int:
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(DIRECTORY, 0o700)
        directory = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            found = os.fstat(directory)
            if found.st_uid not in (0, os.geteuid()) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise Refused(
                    f"nothing was changed: other users can write to the lock directory {DIRECTORY} (uid"
                    f" {found.st_uid}, mode {stat.S_IMODE(found.st_mode):04o}); remove it"
                )
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            return os.open(name, flags, 0o600, dir_fd=directory)
        finally:
            os.close(directory)
    except OSError as exc:
        raise host_error(f"cannot open the lock {DIRECTORY}/{name}", exc) from exc


def _holder(lock: os.stat_result) -> str:
    """The process that has locked this file; the kernel lists those of this PID namespace only (proc_locks(5))."""
    place = f"{os.major(lock.st_dev):02x}:{os.minor(lock.st_dev):02x}:{lock.st_ino}"
    with contextlib.suppress(OSError), open("/proc/locks", encoding="ascii") as locks:
        for line in locks:
            words = line.split()
            # "1: FLOCK ADVISORY WRITE 4711 00:19:1234 0 EOF"; a waiting one has "->" as its second word
            if len(words) > 5 and words[1] == "FLOCK" and words[5] == place:
                with open(f"/proc/{words[4]}/comm", encoding="utf-8", errors="replace") as comm:
                    return f"pid {words[4]} ({comm.read().strip()})"
    return "another process"
