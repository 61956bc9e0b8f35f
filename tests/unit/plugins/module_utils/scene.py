# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small hosts for the tests of the planner."""

from __future__ import annotations

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.identity import tag_text
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import (
    IFF_ALLMULTI,
    IFF_LOOPBACK,
    IFF_LOWER_UP,
    IFF_NOARP,
    IFF_UP,
    Link,
    OwnerTag,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.host import Host

ETH0, ETH1, ETH2 = 2, 3, 4


def nic_of_host(ifindex, name, **facts):
    """A plain Ethernet NIC, up."""
    mac = "52:54:00:00:00:%02x" % (ifindex & 0xFF)
    return Link(ifindex, name, **{"mac": mac, "mtu": 1500, "flags": IFF_UP | IFF_LOWER_UP, **facts})


def macvtap(ifindex, name, guest=None, nic=0, network=None, **facts):
    """A macvtap on eth0, with the mark of ``guest`` if there is one, as this collection leaves it."""
    link = Link(
        ifindex,
        name,
        kind="macvtap",
        mode="vepa",
        lower=ETH0,
        mac="02:aa:00:00:00:%02x" % (ifindex & 0xFF),
        mtu=1500,
        flags=IFF_UP | IFF_NOARP | IFF_ALLMULTI,
        alias=tag_text(OwnerTag(guest, nic, network)) if guest else "",
        ipv6_disabled=True,
        broadcast_queue=1000,
    )
    return link._replace(**facts)


def host(*links, nodes=None):
    """A host with lo, eth0 to eth2 and these links."""
    lo = Link(1, "lo", flags=IFF_LOOPBACK | IFF_UP, hardware=772, mac="00:00:00:00:00:00", mtu=65536)
    basis = [lo, nic_of_host(ETH0, "eth0"), nic_of_host(ETH1, "eth1"), nic_of_host(ETH2, "eth2")]
    return Host({link.ifindex: link for link in [*basis, *links]}, nodes)
