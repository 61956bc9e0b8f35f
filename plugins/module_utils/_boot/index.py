# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Which interface index the next boot gives each guest NIC: the paths that were promised.

All of the boot files that macvtap_attach has to know. :mod:`_boot.files` and :mod:`_boot.reading` have the rest.
"""

from __future__ import annotations

import os
import re

from .._core.errors import host_error
from .._core.identity import read_tag
from .._core.model import BOOT_DIRECTORY

_MARKED = re.compile(r'^link set dev if(\d{1,10}) alias "([^"\n]*)"$', re.MULTILINE)


def promised(directory: str = BOOT_DIRECTORY) -> dict[tuple[str, int], int]:
    """(guest, nic) → index; empty where nothing is persisted, and in a namespace in which no boot makes links.

    :raises HostError: a file that cannot be read.
    """
    indexes: dict[tuple[str, int], int] = {}
    if not is_namespace_of_boot():
        return indexes
    try:
        names = [name for name in os.listdir(directory) if name.endswith(".create")]
        for name in names:
            with open(os.path.join(directory, name), encoding="utf-8", errors="surrogateescape") as file:
                for index, alias in _MARKED.findall(file.read()):
                    tag = read_tag(alias)
                    if tag is not None:
                        indexes[(tag.guest, tag.nic)] = int(index)
    except FileNotFoundError:
        return indexes
    except OSError as exc:
        raise host_error(f"cannot read the boot files in {directory}", exc) from exc
    return indexes


def is_namespace_of_boot() -> bool:
    """Whether a boot makes links here: it does so in the network namespace of process 1. Where that is hidden, yes."""
    try:
        return os.path.samestat(os.stat("/proc/self/ns/net"), os.stat("/proc/1/ns/net"))
    except OSError:
        return True
