# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The files of a guest: its directory, its control socket, its logs. No link is followed, no FIFO waited for.

QEMU runs as the guest's user and makes its socket itself, so the directory is that user's until QEMU listens. Then it
becomes root's: from there on the user can neither replace the socket nor reach it. Before that, and with guests that
1.0 started, only the peer's process number tells who listens; it is compared on every connection
(:mod:`_guest.peer`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat

from .._core.errors import HostError, Refused, host_error
from .._system import tap_node
from . import peer, process
from .paths import Paths
from .plan import Process
from .qmp import ANSWER_SECONDS, Qmp

#: bytes
_LONGEST_NOTE = 256


def check_directory(option: str, path: str, group_may_write: bool) -> None:
    """Refuse a directory that another user could replace or fill.

    It need not exist. In one above it everybody may write when it is sticky, and a group in any case: that of the
    system log may in /var/log on some distributions.

    :raises Refused: naming the one in the way.
    """
    for place in (os.path.abspath(path), os.path.realpath(path)):
        _check_place(option, path, place, stat.S_IWOTH | (0 if group_may_write else stat.S_IWGRP))


def _check_place(option: str, path: str, place: str, forbidden: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        found = os.lstat(place)
        # the mode of a link means nothing
        if found.st_uid or (found.st_mode & forbidden and not stat.S_ISLNK(found.st_mode)):
            raise Refused(
                f"{option} {path} is not safe: {place} belongs to uid {found.st_uid} and has mode"
                f" {stat.S_IMODE(found.st_mode):04o}; choose a directory that only root can change"
            )
    above = os.path.dirname(place)
    if above != place:
        sticky = os.path.isdir(above) and os.stat(above).st_mode & stat.S_ISVTX
        _check_place(option, path, above, 0 if sticky else stat.S_IWOTH)


def make_directories(path: str) -> None:
    """A directory and those above it, for root alone to write in, whatever umask the module was started with."""
    if not os.path.isdir(path):
        make_directories(os.path.dirname(path))
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o755)
            os.chmod(path, 0o755)


def make_directory(paths: Paths, uid: int, gid: int) -> None:
    """The guest's directory, empty, its user's alone."""
    make_directories(os.path.dirname(paths.directory))
    clear(paths)
    os.mkdir(paths.directory, 0o700)
    os.chown(paths.directory, uid, gid)


def is_open(paths: Paths) -> bool:
    """Whether the guest's user can still replace what is in its directory."""
    try:
        return os.lstat(paths.directory).st_uid != 0
    except FileNotFoundError:
        return False


def take(paths: Paths) -> None:
    """Make the guest's directory root's alone; harmless when there is none."""
    try:
        descriptor = os.open(paths.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise _in_the_way(paths.directory, "the guest's directory", exc) from exc
    try:
        os.fchown(descriptor, 0, 0)
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def clear(paths: Paths) -> None:
    """Remove the guest's directory and whatever its user put there.

    :raises HostError: it cannot be removed.
    """
    take(paths)
    try:
        # follows no link: only root gets into the directory any more, and rmtree works on open directories
        shutil.rmtree(paths.directory)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise host_error(f"cannot remove {paths.directory}, where the guest's user put something", exc) from exc
    except RecursionError as exc:
        raise HostError(
            f"cannot remove {paths.directory}: the guest's user put directories there, too deep; remove it yourself"
        ) from exc


def make_log(path: str, uid: int, gid: int) -> int:
    """Make a log file unless it is there; returns its size."""
    make_directories(os.path.dirname(path))
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o640)
    except OSError as exc:
        raise _in_the_way(path, "a log", exc) from exc
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise HostError(f"{path} is not a regular file, so no log can be written there; remove it")
        os.fchown(descriptor, uid, gid)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def read_note(path: str) -> str | None:
    """The one line of a small file of root's, None when there is none.

    :raises HostError: something else lies there.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise _in_the_way(path, "a pid file", exc) from exc
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise HostError(f"{path} is not a regular file, so no pid can be kept there; remove it")
        return os.read(descriptor, _LONGEST_NOTE).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)


def open_log(path: str) -> int:
    """Open the log that :func:`make_log` made, for QEMU to print to."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def remove_file(path: str) -> None:
    """Remove a file, a link or a FIFO; harmless when it is gone.

    :raises HostError: it is a directory, or cannot be removed.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise _in_the_way(path, "a file of the guest", exc) from exc


def _in_the_way(path: str, place: str, error: OSError) -> HostError:
    node = tap_node.look(path)
    if node is None or error.errno in (errno.ENOSPC, errno.EROFS, errno.EACCES):
        return host_error(f"cannot use {path}", error)
    return HostError(f"a {node.kind} lies at {path}, the place of {place}; remove it", error.errno or 0)


def connect(paths: Paths, guest: Process, timeout: float = ANSWER_SECONDS) -> Qmp:
    """Speak to the guest's QEMU, and to no other process; raises as :func:`peer.connect`.

    :arg guest: its process.
    :arg timeout: seconds until QEMU must greet.
    """
    expected = f"process {guest.pid}"
    return peer.connect(paths.socket, lambda pid: pid == guest.pid and process.is_alive(guest), expected, timeout)
