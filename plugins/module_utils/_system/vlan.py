# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Creates, changes and deletes VLAN devices."""

from __future__ import annotations

import errno

from .._core.errors import HostError, RaceLost, Refused
from .._core.explain import why
from .._core.model import IFF_UP, MAKING_GROUP, Link
from .._link import message as wire
from .._link import tc
from .netlink import Reply
from .rtnetlink import Netlink

_CREATE = 0x400 | 0x200


def require(netlink: Netlink) -> None:
    """Find out before the first change whether this kernel has VLAN devices.

    :raises Refused: it has none.
    """
    # without a tag, and with that name, no kernel creates it
    reply = netlink.exchange([(tc.RTM_NEWLINK, tc.ifb("a/b", "vlan"))], _CREATE)[0]
    if reply.errno == errno.EOPNOTSUPP:
        raise Refused(
            "vlan needs links of type vlan (8021q), which this kernel does not have; leave vlan out, or boot a kernel"
            " with it"
        )


def create(netlink: Netlink, link: Link) -> None:
    """Create a VLAN device, in :data:`MAKING_GROUP` until it is marked, then mark it and bring it up.

    :raises RaceLost: another program was faster.
    :raises HostError: naming what the kernel refused; what was created stays.
    """
    facts = wire.nla_text(wire.IFLA_IFNAME, link.name) + wire.nla_u32(wire.IFLA_LINK, link.lower)
    facts += wire.nla_u32(wire.IFLA_GROUP, MAKING_GROUP) + wire.nla_vlan(link.vlan or 0)
    reply = netlink.exchange([(tc.RTM_NEWLINK, wire.body(link.ifindex, facts))], _CREATE)[0]
    _require("create", link, reply)
    change(netlink, link)


def change(netlink: Netlink, link: Link) -> None:
    """Give a VLAN device its MTU, mark and state.

    :raises RaceLost: it has vanished.
    :raises HostError: naming what the kernel refused.
    """
    facts = wire.nla_u32(wire.IFLA_MTU, link.mtu) + wire.nla_tag(link.alias, link.group)
    body = wire.body(link.ifindex, facts, link.flags & IFF_UP, IFF_UP)
    _require("change", link, netlink.exchange([(tc.RTM_NEWLINK, body)])[0])


def delete(netlink: Netlink, link: Link) -> None:
    """Delete a VLAN device; one that is gone is no error.

    :raises RaceLost: a link is on it by now, which would go with it.
    """
    links = netlink.links()
    found = links.get(link.ifindex)
    if found is None or (found.lower, found.vlan) != (link.lower, link.vlan):
        return
    above = [other.name for other in links.values() if (other.lower, other.lower_netnsid) == (link.ifindex, None)]
    if above:
        raise RaceLost(f"VLAN device {link.name} stays, since {', '.join(above)} is on it", errno.EBUSY)
    netlink.delete([found])


def _require(verb: str, link: Link, reply: Reply) -> None:
    cause = why(*reply)
    if reply.errno in (errno.EEXIST, errno.ENODEV):
        raise RaceLost(f"cannot {verb} VLAN device {link.name}: {cause}", reply.errno)
    if reply.errno == errno.EOPNOTSUPP:
        cause = f"its lower device cannot have VLANs ({reply.text}); use another one"
    if reply.errno:
        raise HostError(f"cannot {verb} VLAN device {link.name}: {cause}", reply.errno)
