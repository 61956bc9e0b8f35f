# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""``<filterref>`` of libvirt's XML: four of its well-known filters, as the option ``guard``. PURE."""

from __future__ import annotations

from typing import Any

from .._core.errors import InvalidInput
from .._core.names import shown
from .._traffic.guard import check
from .xml import children, only_child

#: what libvirt's filters leave alone
_OPEN = {"stp": True, "dhcp_server": True, "router_advertisements": True}
#: filter → what of the guard it sets; those that check addresses check those of ``<parameter name='IP'>``
_FILTERS: dict[str, dict[str, Any]] = {
    "clean-traffic": {"dhcp_server": True, "other_protocols": False},
    "no-mac-spoofing": _OPEN,
    # of IPv4 only
    "no-ip-spoofing": {**_OPEN, "mac": False, "addresses": ["::/0"]},
    "no-arp-spoofing": {**_OPEN, "addresses": ["::/0"]},
}
_WITHOUT_ADDRESSES = ("no-mac-spoofing",)


def read_guard(interface: Any, where: str) -> dict[str, Any] | None:
    """What the element says, as the option ``guard`` has it; None = it is not there.

    :raises InvalidInput: naming the filter or the parameter that this collection does not carry out.
    """
    node = only_child(interface, "filterref", where)
    if node is None:
        return None
    name = node.get("filter")
    if name not in _FILTERS:
        raise InvalidInput(
            f"{where} has <filterref filter={shown(name)}>, but only {', '.join(_FILTERS)} are carried out on a"
            " macvtap; use one of these, or the option guard"
        )
    other = next((each.get("name") for each in children(node, "parameter") if each.get("name") != "IP"), None)
    if other is not None:
        raise InvalidInput(
            f"{where} has the parameter {shown(other)} in <filterref>, of which only IP has a meaning on a macvtap;"
            " remove it, or use the option guard"
        )
    addresses = [each.get("value", "") for each in children(node, "parameter")]
    if not addresses and name not in _WITHOUT_ADDRESSES:
        raise InvalidInput(
            f"{where} has <filterref filter={shown(name)}> without <parameter name='IP' value=…/>, and this collection"
            " does not learn addresses from the guest's frames; add one for each address"
        )
    guard = dict(_FILTERS[name])
    if name not in _WITHOUT_ADDRESSES:
        guard["addresses"] = [*addresses, *guard.get("addresses", ())]
    check(guard, f"{where}: filterref")
    return guard
