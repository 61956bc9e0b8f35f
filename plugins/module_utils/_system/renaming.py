# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Changes links that are up, on every kernel: before Linux 6.2 a link is renamed only while it is down."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from .._core.model import IFF_UP, Link
from .._link import attributes
from .netlink import Reply
from .rtnetlink import Netlink

#: a link, and the names of the attributes of it that are to be set
Change = tuple[Link, tuple[str, ...]]


def set_down(links: Sequence[Link]) -> list[Change]:
    """What sets these links down, and nothing else of them."""
    return [(link._replace(flags=link.flags & ~IFF_UP), (attributes.LINK_STATE,)) for link in links]


def change(netlink: Netlink, changes: Sequence[Change]) -> tuple[list[Reply], set[int]]:
    """Set attributes as :meth:`Netlink.change` does; links that the kernel does not rename while up go down for it.

    Only the kernel knows whether it renames a link that is up, so it is asked: the link of a guest goes down nowhere
    without need. What a refused message did set it sets once more.

    :returns: a reply for each change, and the ifindexes of the links that are down now: to be set up again by the
        caller, once all is in place that must be before.
    """
    replies = netlink.change(changes)
    # dev_change_name (net/core/dev.c) until 6.2
    refused = [
        number
        for number, ((_link, names), reply) in enumerate(zip(changes, replies))
        if reply.errno == errno.EBUSY and "ifname" in names
    ]
    links = [changes[number][0] for number in refused]
    netlink.change(set_down(links))
    for number, reply in zip(refused, netlink.change([changes[number] for number in refused])):
        replies[number] = reply
    return replies, {link.ifindex for link in links}
