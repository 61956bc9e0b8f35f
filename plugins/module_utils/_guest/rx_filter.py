# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What a guest wants to receive, as its driver set it, and what its link does not deliver. PURE.

QEMU reports it (``query-rx-filter``) of the virtio models only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .answers import expected, nonsense
from .qemu import MAC

#: MAC addresses of a guest, or VLANs, that are named
_NAMED = 5
_LAST_VLAN = 4094
#: group addresses of IPv6 (RFC 2464)
_IPV6_GROUPS = "33:33:"


class Filter(NamedTuple):
    """What the driver of one NIC asks for beside the frames for the NIC's own MAC."""

    #: MACs that are not that of the NIC
    macs: tuple[str, ...] = ()
    vlans: tuple[int, ...] = ()
    promiscuous: bool = False
    #: whether it listens to groups of IPv6
    ipv6: bool = False


def read(answer: Any, macs: Mapping[str, str]) -> dict[str, Filter]:
    """The filters of a guest's NICs.

    :arg answer: what QEMU returns for ``query-rx-filter``.
    :arg macs: MAC of each NIC by the id of its device; others are left out.
    :raises HostError: no QEMU returns that.
    """
    rows = [expected(row, dict) for row in expected(answer, list)]
    names = [expected(row.get("name"), str) for row in rows]
    return {name: _filter(row, macs[name]) for name, row in zip(names, rows) if name in macs}


def _filter(row: Mapping[str, Any], mac: str) -> Filter:
    unicast, groups = _macs(row.get("unicast-table", [])), _macs(row.get("multicast-table", []))
    vlans = {expected(vlan, int) for vlan in expected(row.get("vlan-table", []), list)}
    return Filter(
        macs=tuple(sorted({*_macs([row.get("main-mac")]), *unicast} - {mac})),
        # a driver that does not filter by VLAN has them all in its table
        vlans=tuple(sorted(vlan for vlan in vlans if 0 < vlan <= _LAST_VLAN)) if row.get("vlan") == "normal" else (),
        # a device on which no driver has set a filter yet is promiscuous too
        promiscuous=row.get("promiscuous") is True and bool(unicast or groups),
        ipv6=any(group.startswith(_IPV6_GROUPS) for group in groups),
    )


def _macs(values: Any) -> list[str]:
    macs = [expected(value, str).lower() for value in expected(values, list)]
    for mac in macs:
        if not MAC.fullmatch(mac):
            raise nonsense(mac)
    return macs


def undelivered(wanted: Filter, row: Mapping[str, Any]) -> list[str]:
    """What the guest asks for in vain, each with the way out, as the end of a sentence that begins with the NIC.

    :arg row: its attachment, as a result has it.
    """
    found = []
    wants = [f"MAC {mac}" for mac in wanted.macs[:_NAMED]] + ["all frames (promiscuous mode)"] * wanted.promiscuous
    # passthrough delivers everything
    if wants and row.get("mode", "passthrough") != "passthrough":
        found.append(
            f"wants {' and '.join(wants)}, but in mode {row['mode']} its link receives only frames for its own MAC, and"
            " broadcast and multicast frames; give the NIC that MAC, add a NIC, or use mode passthrough"
        )
    guard = row.get("guard")
    tagged = [str(vlan) for vlan in wanted.vlans if guard is not None and vlan not in guard.get("vlans", ())]
    if tagged:
        found.append(
            f"uses VLAN {' and '.join(tagged[:_NAMED])}, but its guard drops the frames that it sends there; add the"
            " VLAN to vlans of its guard"
        )
    if wanted.ipv6 and row.get("allmulticast") is False and not row.get("promiscuous"):
        found.append(
            "uses IPv6, but its link does not receive the multicast frames that IPv6 needs; attach the NIC with"
            " allmulticast: true"
        )
    return found
