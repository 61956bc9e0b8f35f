# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""VLAN devices of ours as the next boot makes them: batch files for ip, and back. PURE.

Each belongs to the entries of the links on it, and goes from the files with the last of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .._core.errors import Refused
from .._core.identity import VLAN_MARK
from .._core.model import Vlan
from .entry import Entry
from .host_link import HostEntry

_ADD = re.compile(r"link add link (\S+) name (\S+) type vlan id (\d{1,4})")
_SET = re.compile(rf'link set dev \S+ alias "{VLAN_MARK}" up')


def of_entries(entries: Sequence[Entry], hosts: Sequence[HostEntry]) -> dict[str, Vlan]:
    """The VLAN devices that links are on, by name."""
    found = [(entry.device, entry.vlan) for entry in entries] + [(entry.device, entry.vlan) for entry in hosts]
    return dict(sorted((device, vlan) for device, vlan in found if vlan is not None))


def text(vlans: dict[str, Vlan], parent: str) -> str:
    """The batch file of the VLAN devices on ``parent``; the kernel gives them its MTU."""
    lines = []
    for name, vlan in vlans.items():
        if vlan.parent == parent:
            lines.append(f"link add link {parent} name {name} type vlan id {vlan.tag}")
            lines.append(f'link set dev {name} alias "{VLAN_MARK}" up')
    return "".join(line + "\n" for line in lines)


def read(lines: Iterable[tuple[str, str]]) -> dict[str, Vlan]:
    """The VLAN devices in the lines of such files, by name.

    :arg lines: each with its place, for messages.
    :raises Refused: naming a line that we cannot have written.
    """
    found = {}
    for line, place in lines:
        added = _ADD.fullmatch(line)
        if added is not None:
            found[added[2]] = Vlan(int(added[3]), added[1])
        elif not _SET.fullmatch(line):
            raise Refused(
                f"{place} is not as this collection writes it: {line[:200]!r}; put it right, or remove the file and"
                " persist its links again"
            )
    return found
