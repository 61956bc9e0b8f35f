# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""One look at the host: its links, what lies in the device directory, and the taps of some links."""

from __future__ import annotations

from collections.abc import Iterable

from .._core.identity import GUARDED
from .._core.model import Link, NodePolicy, Tap
from .._link.host import Host
from .._traffic.table import Table
from . import nftables, rtnetlink, shaping, sriov, tap_node


def look_at_host(netlink: rtnetlink.Netlink, policy: NodePolicy) -> Host:
    """One dump of the links and one listing of the device directory, and what sysfs says of NICs.

    Where there are host links or VLAN devices of ours, a dump of the addresses too.
    """
    links = shaping.links(netlink)
    owners = sriov.physical_functions(links)
    functions = sriov.virtual_functions(netlink, links, owners)
    sriov.with_functions(links, functions)
    host = Host(
        links,
        tap_node.foreign_nodes(policy.directory, links),
        physical_functions=owners,
        guards=_guards(links),
        virtual_functions=functions,
    )
    if host.host_links or host.own_vlans:
        addresses = netlink.addresses()
        ours = [*host.host_links.values(), *host.own_vlans.values()]
        host.addresses = {link.ifindex: addresses.get(link.ifindex, ()) for link in ours}
    return host


def _guards(links: dict[int, Link]) -> Table | None:
    """The guards of these links, of which each gets its own. Without a link that is marked as guarded nothing is read.

    What a killed run left of others is repaired by the run that gives these links what they are to have.
    """
    marked = [link for link in links.values() if link.is_macvtap and GUARDED in link.alias]
    table = nftables.look() if marked else None
    if table is not None:
        is_intact = table.is_intact()
        links.update((link.ifindex, link._replace(guard=table.guard(link, is_intact))) for link in marked)
    return table


def look_at_taps(links: Iterable[Link], policy: NodePolicy, required: bool = False) -> dict[int, Tap]:
    """Device number and node of each link, by ifindex.

    :arg required: raise RaceLost for a link that sysfs does not show, instead of leaving it out.
    """
    number_of = tap_node.require_device_number if required else tap_node.device_number
    seen = {}
    for link in links:
        number = number_of(link)
        if number is not None:
            seen[link.ifindex] = Tap(number, tap_node.look_at(policy.path(link.ifindex), number))
    return seen
