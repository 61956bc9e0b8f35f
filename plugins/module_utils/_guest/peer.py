# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Connect to a guest's QEMU, and to no other process: the kernel says who listens at its control socket."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
from collections.abc import Iterator
from typing import Callable

from .._core.errors import HostError
from .._system import holders
from .qmp import ANSWER_SECONDS, CONNECTION_SECONDS, Qmp, QmpSilent

_CREDENTIALS = struct.Struct("3i")


class StrangerListens(HostError):
    """Another process than the guest's own answers at its socket; nothing was said to it."""


def connect(
    path: str,
    is_guest: Callable[[int], bool],
    expected: str,
    timeout: float = ANSWER_SECONDS,
    patience: float = CONNECTION_SECONDS,
) -> Qmp:
    """Connect to a socket at which the guest's QEMU listens.

    :arg path: of the socket.
    :arg is_guest: whether a process is the guest's.
    :arg expected: that process, for messages.
    :arg timeout: seconds until QEMU must greet.
    :arg patience: seconds for all its answers after that.
    :raises FileNotFoundError, ConnectionRefusedError: no process listens there (yet).
    :raises StrangerListens: another process listens there, or something else lies there.
    :raises QmpSilent: no greeting.
    """
    with _socket_at(path) as entry:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            client.settimeout(timeout)
            # what was looked at, and not what lies there a moment later
            client.connect(f"/proc/self/fd/{entry}")
            _check_peer(client, path, is_guest, expected)
        except BlockingIOError as exc:
            client.close()
            raise QmpSilent(f"QEMU does not answer at {path}: too many clients wait for it") from exc
        except BaseException:
            client.close()
            raise
    return Qmp(client, path, timeout, patience)


def _check_peer(client: socket.socket, path: str, is_guest: Callable[[int], bool], expected: str) -> None:
    """Compare who listens (the kernel says so, from the time of listen(2)) with the guest's process."""
    pid = _CREDENTIALS.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[0]
    if not is_guest(pid):
        raise StrangerListens(
            f"process {pid} ({holders.command_of(pid)}) listens at {path} in place of the guest's QEMU, {expected};"
            " nothing was sent to it"
        )


@contextlib.contextmanager
def _socket_at(path: str) -> Iterator[int]:
    """A descriptor of the socket itself, however its directory is rearranged meanwhile."""
    flags = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
    parent, name = os.path.split(path)
    try:
        directory = os.open(parent, flags | os.O_DIRECTORY)
    except NotADirectoryError as exc:
        raise StrangerListens(f"{parent} is not a directory; remove it") from exc
    try:
        entry = os.open(name, flags, dir_fd=directory)
    finally:
        os.close(directory)
    try:
        if not stat.S_ISSOCK(os.fstat(entry).st_mode):
            raise StrangerListens(f"{path} is not a socket: the guest's user has replaced it")
        yield entry
    finally:
        os.close(entry)
