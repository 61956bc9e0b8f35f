# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What one guest's directory, sockets, files and unit are called. PURE."""

from __future__ import annotations

import hashlib
import posixpath
import re
from typing import NamedTuple

from .._core.errors import InvalidInput
from .._core.names import check_guest_name, shown

#: what a socket address holds (sun_path), without the final zero
_LONGEST_SOCKET = 107
#: NAME_MAX; and PATH_MAX (linux/limits.h), with room for the name of a file
_LONGEST_NAME, _LONGEST_DIRECTORY = 255, 4095 - 256
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,52}")
#: what :func:`file_name` makes of other names, and what lies beside a guest's directory: no plain name may look like it
_RESERVED = re.compile(r".*(--[0-9a-f]{32}|\.pid|\.start|\.links)")
_LONGEST_PREFIX, _DIGEST = 19, 32
#: the same of 1.0, which took such names for plain ones too
_LONGEST_PREFIX_1_0, _DIGEST_1_0 = 40, 12


class Paths(NamedTuple):
    """Where the things of one guest lie."""

    #: holds nothing but the socket; the user's until QEMU listens, then root's
    directory: str
    socket: str
    pid_file: str
    #: which process of that number it is
    start_file: str
    #: which of its NICs are without a cable: QEMU does not tell
    link_file: str
    #: what the guest writes on its serial console
    console: str
    #: what QEMU itself says
    log: str


def paths_of(stem: str, runtime_dir: str, log_dir: str) -> Paths:
    """Where the guest's files lie.

    :arg stem: the guest's :func:`file_name`.
    :raises InvalidInput: runtime_dir is too long for the address of a socket, or log_dir for a path.
    """
    directory = posixpath.join(runtime_dir, stem)
    socket = posixpath.join(directory, "qmp.sock")
    if len(socket.encode("utf-8", "surrogatepass")) > _LONGEST_SOCKET:
        raise InvalidInput(
            f"runtime_dir {shown(runtime_dir)} is too long: the path of a QMP socket, {shown(socket)}, takes more than"
            f" {_LONGEST_SOCKET} bytes; choose a shorter one"
        )
    log_bytes = log_dir.encode("utf-8", "surrogatepass")
    if len(log_bytes) > _LONGEST_DIRECTORY or any(len(part) > _LONGEST_NAME for part in log_bytes.split(b"/")):
        raise InvalidInput(f"log_dir {shown(log_dir)} is too long for a path; choose a shorter one")
    return Paths(
        directory=directory,
        socket=socket,
        pid_file=posixpath.join(runtime_dir, stem + ".pid"),
        start_file=posixpath.join(runtime_dir, stem + ".start"),
        link_file=posixpath.join(runtime_dir, stem + ".links"),
        console=posixpath.join(log_dir, stem + ".console"),
        log=posixpath.join(log_dir, stem + ".log"),
    )


def file_name(guest: str) -> str:
    """The guest's name where it names files, sockets and units: a plain one as it is. No two guests share one.

    Any other keeps its plain characters and gets a digest: blanks and quotes mean something to systemd, and the address
    of a socket is short.

    :raises InvalidInput: the name cannot be a guest's.
    """
    if not guest or guest in (".", "..") or "/" in guest or not guest.isprintable():
        raise InvalidInput(
            f"guest name {shown(guest)} cannot be: no slash, no control character, not empty, not . or .."
        )
    check_guest_name(guest)
    if _PLAIN_NAME.fullmatch(guest) and not _RESERVED.fullmatch(guest):
        return guest
    return f"{_plain(guest)[:_LONGEST_PREFIX]}--{_digest(guest)[:_DIGEST]}"


def file_name_1_0(guest: str) -> str:
    """What 1.0 called the files of the guest: two guests could share them."""
    if _PLAIN_NAME.fullmatch(guest):
        return guest
    return f"{_plain(guest)[:_LONGEST_PREFIX_1_0]}-{_digest(guest)[:_DIGEST_1_0]}"


def _plain(guest: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", guest)


def _digest(guest: str) -> str:
    return hashlib.sha256(guest.encode()).hexdigest()
