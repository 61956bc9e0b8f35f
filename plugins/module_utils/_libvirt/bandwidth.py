# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""``<bandwidth>`` of a NIC, a port group or a network. PURE."""

from __future__ import annotations

from typing import Any

from .._core.errors import InvalidInput
from .._core.names import shown
from .._traffic.bandwidth import check
from .xml import only_child


def read_bandwidth(parent: Any, where: str) -> dict[str, Any] | None:
    """What the element says, as the option ``bandwidth`` has it; None = it is not there or limits nothing.

    :raises InvalidInput: naming the value that cannot be.
    """
    node = only_child(parent, "bandwidth", where)
    if node is None:
        return None
    directions = {name: _read_direction(node, name, where) for name in ("inbound", "outbound")}
    found = {name: direction for name, direction in directions.items() if direction is not None}
    check(found, f"{where}: bandwidth")
    return found or None


def _read_direction(bandwidth: Any, name: str, where: str) -> dict[str, int] | None:
    node = only_child(bandwidth, name, where)
    if node is None:
        return None
    if "floor" in node.attrib:
        raise InvalidInput(
            f"{where} has floor= on <{name}>, a guaranteed rate, which needs a bridge that libvirt makes; remove it"
        )
    numbers = {key: _number(node, key, where) for key in ("average", "peak", "burst") if key in node.attrib}
    # libvirt takes 0 for a limit that is not set
    return {key: number for key, number in numbers.items() if number or key == "average"}


def _number(node: Any, key: str, where: str) -> int:
    text = node.get(key).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise InvalidInput(f"{where} has {key}={shown(text)} on <{node.tag}>; write a number")
    return int(text)
