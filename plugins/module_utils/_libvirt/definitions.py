# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Network definitions on disk: one libvirt network XML file each, replaced atomically."""

from __future__ import annotations

import os

from .._core.errors import InvalidInput, MissingLibrary, host_error
from .._core.model import Network
from .._system import text_file
from . import network_plain

_SUFFIX = ".xml"
#: what such a file is called in messages
WHAT = "definition"


class Damaged(InvalidInput):
    """A definition file that is no network definition, or one of another network."""


def path_of(directory: str, name: str) -> str:
    """Path of the definition of a network whose name was checked (:func:`_core.names.check_network_name`)."""
    return os.path.join(directory, name + _SUFFIX)


def read_text(path: str) -> str | None:
    """The file's text, None when there is none.

    :raises HostError: when it cannot be read or is no definition at all.
    """
    return text_file.read(path, WHAT)


def read(directory: str, name: str) -> Network | None:
    """The network of that name, None when it is not defined.

    :raises MacvtapError: as :func:`parse`.
    """
    path = path_of(directory, name)
    text = read_text(path)
    return None if text is None else parse(path, text, name)


def names(directory: str) -> list[str]:
    """Names of the networks that have a definition file, sorted.

    A name may begin with a dot. What an editor leaves beside a file that it has open (a link to nowhere) is no file.
    """
    try:
        with os.scandir(directory) as entries:
            files = [entry.name for entry in entries if entry.name.endswith(_SUFFIX) and entry.is_file()]
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise host_error(f"cannot list definitions_dir {directory}", exc) from exc
    return sorted(file[: -len(_SUFFIX)] for file in files if file != _SUFFIX)


def parse(path: str, text: str, name: str) -> Network:
    """The network that the text of a definition file defines; the file's name says how it must be called.

    :raises Damaged: naming the file.
    :raises MissingLibrary: naming the file, which was not written from plain options, where lxml is not there.
    """
    try:
        return network_of(text, name)
    except InvalidInput as exc:
        raise Damaged(f"definition {path} is not usable: {exc}") from exc
    except MissingLibrary as exc:
        error = MissingLibrary(f"definition {path}: {exc}")
        error.missing = exc.missing
        raise error from exc


def network_of(text: str, name: str) -> Network:
    """The network that a definition defines, from a file or handed on by another task.

    :raises InvalidInput: it is none, or has another name.
    :raises MissingLibrary: it was not written from plain options, and lxml is not there.
    """
    network = network_plain.read(text)
    if network is not None:
        network_plain.agreed_name(network.name, name)
        return network
    # imported here: lxml takes its time, and most definitions do not need it
    from .network import parse_network

    return parse_network(text, name)
