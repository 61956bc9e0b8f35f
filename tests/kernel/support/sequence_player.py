# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plays sequences of link operations, on the kernel or on its model, and tells what became of each.

As a script it reads sequences as JSON, plays them on the links of its network namespace, and prints the outcome; the
links there are given back their state after each sequence.
"""

from __future__ import annotations

import json
import sys

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import HostError
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import (
    IFF_ALLMULTI,
    IFF_LOOPBACK,
    IFF_NOARP,
    IFF_PROMISC,
    IFF_UP,
    Link,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link import message as wire
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system import rtnetlink

FLAGS = IFF_UP | IFF_LOOPBACK | IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI
CREATE = 0x605  # NLM_F_REQUEST | NLM_F_ACK | NLM_F_EXCL | NLM_F_CREATE
CHANGE = 0x5
RESTORED = ("link_state", "mac", "mtu", "mark", "ifname", "allmulticast", "promiscuous", "arp")


def play(netlink, sequence):
    """Carry out the operations of a sequence.

    :returns: for each operation its errno (0 = done) and the links after it.
    """
    outcome = []
    for operation, *arguments in sequence:
        number = OPERATIONS[operation](netlink, *arguments)
        outcome.append([number, shown(netlink)])
    return outcome


def _create(netlink, link):
    return netlink.create([Link(**link)])[0].errno


def _change(netlink, link, names):
    return netlink.change([(Link(**link), tuple(names))])[0].errno


def _delete(netlink, ifindexes):
    links = netlink.links()
    try:
        netlink.delete([links[index] for index in ifindexes if index in links])
    except HostError as exc:
        return exc.errno or -1
    return 0


def _macvlan(netlink, link):
    """Like create, but of the other kind."""
    info = wire.nla(wire.IFLA_INFO_KIND, b"macvlan") + wire.nla(
        wire.IFLA_INFO_DATA, wire.nla_u32(wire.IFLA_MACVLAN_MODE, wire.MODE_TO_KERNEL[link["mode"]])
    )
    payload = wire.nla(wire.IFLA_LINKINFO, info) + wire.nla_text(wire.IFLA_IFNAME, link["name"])
    payload += wire.nla_mac(link["mac"]) + wire.nla_u32(wire.IFLA_LINK, link["lower"])
    return _raw(netlink, CREATE, wire.body(link["ifindex"], payload))


def _master(netlink, ifindex, master):
    return _raw(netlink, CHANGE, wire.body(ifindex, wire.nla_u32(wire.IFLA_MASTER, master)))


def _raw(netlink, flags, body):
    return netlink.exchange([(16, body)], flags)[0].errno


def _ipv6(_netlink, name, enabled):
    return rtnetlink.set_ipv6(name, enabled).errno


OPERATIONS = {
    "create": _create,
    "change": _change,
    "delete": _delete,
    "macvlan": _macvlan,
    "master": _master,
    "ipv6": _ipv6,
}


def shown(netlink):
    """The links as far as the model knows them, as JSON would give them back.

    The operational state follows some time later (linkwatch), so it does not count.
    """
    return [
        list(link._replace(flags=link.flags & FLAGS, operstate="", queue_length=0, qdisc=""))
        for _index, link in sorted(netlink.links().items())
    ]


def restore(netlink, before):
    """Take away what a sequence made, and give the other links back what they had."""
    netlink.delete([link for index, link in netlink.links().items() if index not in before])
    for link in before.values():
        _master(netlink, link.ifindex, link.master)
        for name in RESTORED:
            netlink.change([(link, (name,))])
        if link.ipv6_disabled is not None:
            rtnetlink.set_ipv6(link.name, not link.ipv6_disabled)


def main():
    with rtnetlink.Netlink() as netlink:
        before = netlink.links()
        answer = {"links": shown(netlink), "outcomes": []}
        for sequence in json.load(sys.stdin):
            answer["outcomes"].append(play(netlink, sequence))
            restore(netlink, before)
            if shown(netlink) != answer["links"]:
                sys.exit("the links are not as they were:\n%s\n%s" % (answer["links"], shown(netlink)))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
