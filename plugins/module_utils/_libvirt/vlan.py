# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""``<vlan>`` of libvirt's XML, of a network, a port group or a NIC: one tag, as the option ``vlan``. PURE."""

from __future__ import annotations

from typing import Any

from .._core.errors import InvalidInput
from .._core.model import VLANS
from .._core.names import shown
from .xml import attribute_one_of, children, only_child

_ACCESS = "here a guest's frames have no tag, and the VLAN device adds that of one VLAN"


def read_vlan(parent: Any, where: str) -> int | None:
    """The tag; None = there is no such element.

    :raises InvalidInput: a trunk, a native VLAN, or what is no tag.
    """
    node = only_child(parent, "vlan", where)
    if node is None:
        return None
    tags = children(node, "tag")
    if attribute_one_of(node, "trunk", ("yes", "no"), where) == "yes" or len(tags) > 1:
        raise InvalidInput(
            f"{where} has a <vlan> that is a trunk: {_ACCESS}; write one <tag>, or remove <vlan> and let the guest tag"
            " its frames itself"
        )
    if not tags:
        raise InvalidInput(f"{where} has a <vlan> without a <tag>; write <vlan><tag id='20'/></vlan>")
    if "nativeMode" in tags[0].attrib:
        raise InvalidInput(f"{where} has nativeMode on <tag>, which is for trunks: {_ACCESS}; remove nativeMode")
    text = tags[0].get("id", "").strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if number not in VLANS:
        raise InvalidInput(f"{where} has id={shown(text)} on <tag>; write a number from {VLANS[0]} to {VLANS[-1]}")
    return number
