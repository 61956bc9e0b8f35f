# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Small text files of the host: read whole, replaced atomically, and only if no other program changed them."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from functools import partial

from .._core.errors import UNDOING_MET, HostError, host_error
from .._core.revert import Revert
from . import lock

#: bytes; most have a few hundred
_LARGEST = 4 << 20


def read(path: str, what: str) -> str | None:
    """The file's text, None when there is none.

    :arg what: what to call the file in messages, such as "definition".
    :raises HostError: when it cannot be read or is no such text at all.
    """
    try:
        # a FIFO or a device would keep the reader waiting, or never end
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, encoding="utf-8") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise HostError(f"{what} {path} is not a regular file; remove it")
            text = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise host_error(f"cannot read {what} {path}", exc) from exc
    except UnicodeDecodeError as exc:
        raise HostError(f"{what} {path} is not UTF-8 text; repair or remove it") from exc
    if len(text) > _LARGEST:
        raise HostError(f"{what} {path} is larger than {_LARGEST} bytes; repair or remove it")
    return text


def replace(path: str, old: str | None, new: str | None, what: str) -> None:
    """Put ``new`` in the place of ``old`` (None = no file), atomically: a reader sees one or the other, whole.

    A symbolic link at ``path`` stays one: the file that it leads to is replaced, and only the link is removed.

    :arg what: what to call the file in messages.
    :raises HostError: when another program changed the file since ``old`` was read, when it cannot be written, or
        :func:`read` would not read it again; then it is as it was.
    """
    if new is not None and len(new) > _LARGEST:
        raise HostError(f"cannot write {what} {path}: it would be larger than {_LARGEST} bytes")
    try:
        with _locked(os.path.dirname(path)):
            found = read(path, what)
            if found == new:
                # what a failed run is undone with may not have happened
                return
            if found != old:
                raise HostError(f"{what} {path} was changed by another program a moment ago; run again")
            if new is None:
                os.unlink(path)
            else:
                _write(os.path.realpath(path), new, None if old is None else os.stat(path))
    except OSError as exc:
        raise host_error(f"cannot write {what} {path}", exc) from exc


def write(path: str, old: str | None, new: str | None, what: str, revert: Revert) -> None:
    """:func:`replace`, with its undo pushed first: the file may be in place although its directory was not synced.

    :raises HostError: as :func:`replace`.
    """
    revert.push(partial(replace, path, new, old, what))
    replace(path, old, new, what)


def _write(path: str, text: str, old: os.stat_result | None) -> None:
    """By way of a file that has one name, under the lock: what a killed run left of it goes with the next.

    It is always a new file: what lies there (a link, a FIFO) is neither written to nor waited for.
    """
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{os.path.splitext(name)[0]}.new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            if old is not None:
                os.fchown(file.fileno(), old.st_uid, old.st_gid)
            os.fchmod(file.fileno(), 0o644 if old is None else stat.S_IMODE(old.st_mode))
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError as exc:
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        except OSError:
            left = f"{exc.strerror}. {UNDOING_MET}{temporary} is left there"
            raise OSError(exc.errno, left) from exc
        raise


def _make_directory(path: str) -> None:
    """With those above it, readable by all and writable by the owner, whatever umask the module was started with."""
    if os.path.isdir(path):
        return
    _make_directory(os.path.dirname(path))
    with contextlib.suppress(FileExistsError):
        os.makedirs(path, mode=0o755)
        os.chmod(path, 0o755)


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    """One writer at a time, in whatever directory: a write takes milliseconds."""
    _make_directory(directory)
    with lock.hold("files"):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
