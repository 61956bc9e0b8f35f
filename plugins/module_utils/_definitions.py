# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Network definitions on disk: one libvirt network XML file each, replaced atomically."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from ansible_collections.linuxnet.macvtap.plugins.module_utils._errors import HostError, InvalidInput, host_error
from ansible_collections.linuxnet.macvtap.plugins.module_utils._model import Network

_SUFFIX = ".xml"
#: bytes; a definition is a few hundred
_LARGEST = 4 << 20


class Damaged(InvalidInput):
    """A definition file that is no network definition, or one of another network."""


def path_of(directory: str, name: str) -> str:
    """Path of the definition of a network whose name was checked (:func:`_names.check_network_name`)."""
    return os.path.join(directory, name + _SUFFIX)


def read_text(path: str) -> str | None:
    """The file's text, None when there is none.

    :raises HostError: when it cannot be read or is no definition at all.
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise host_error("cannot read definition %s" % path, exc) from exc
    except UnicodeDecodeError as exc:
        raise HostError("definition %s is not UTF-8 text; repair or remove it" % path) from exc
    if len(text) > _LARGEST:
        raise HostError("definition %s is larger than %d bytes; repair or remove it" % (path, _LARGEST))
    return text


def read(directory: str, name: str) -> Network | None:
    """The network of that name, None when it is not defined.

    :raises Damaged: when the file is no definition or defines a network of another name.
    """
    path = path_of(directory, name)
    text = read_text(path)
    return None if text is None else parse(path, text, name)


def names(directory: str) -> list[str]:
    """Names of the networks that have a definition file, sorted."""
    try:
        files = os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise host_error("cannot list definitions_dir %s" % directory, exc) from exc
    return sorted(file[: -len(_SUFFIX)] for file in files if file.endswith(_SUFFIX) and not file.startswith("."))


def parse(path: str, text: str, name: str) -> Network:
    """The network that the text of a definition file defines; the file's name says how it must be called.

    :raises Damaged: naming the file.
    """
    # imported here, since lxml takes its time and most tasks over plain options read no definition
    from ansible_collections.linuxnet.macvtap.plugins.module_utils._network_xml import parse_network

    try:
        return parse_network(text, name)
    except InvalidInput as exc:
        raise Damaged("definition %s is not usable: %s" % (path, exc)) from exc


def replace(path: str, old: str | None, new: str | None) -> None:
    """Put ``new`` in the place of ``old`` (None = no file), atomically: a reader sees one or the other, whole.

    :raises HostError: when somebody else changed the file since ``old`` was read, or it cannot be written; then it is
        as it was.
    """
    try:
        with _locked(os.path.dirname(path)):
            if read_text(path) != old:
                raise HostError("definition %s was changed by somebody else a moment ago; run again" % path)
            if new is None:
                os.unlink(path)
            else:
                _write(path, new)
    except OSError as exc:
        raise host_error("cannot write definition %s" % path, exc) from exc


def _write(path: str, text: str) -> None:
    """By way of a file that has one name, under the lock: what a killed run left of it is overwritten by the next."""
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, ".%s.new" % name[: -len(_SUFFIX)])
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    """An exclusive lock on the directory itself: it leaves no lock file behind."""
    os.makedirs(directory, mode=0o755, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
