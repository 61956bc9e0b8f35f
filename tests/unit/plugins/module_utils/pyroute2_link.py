# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What pyroute2 makes of a link message, in our words: the second opinion on our own packing."""

from __future__ import annotations

import struct

from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Link

MODES = {"passthru": "passthrough"}


def decoded(body: bytes) -> ifinfmsg:
    """A message of type RTM_NEWLINK with this body, as pyroute2 reads it."""
    message = ifinfmsg(struct.pack("=IHHII", 16 + len(body), 16, 0, 0, 0) + body)
    message.decode()
    return message


def link_of(message: ifinfmsg) -> Link:
    """The link that pyroute2 sees in a message; it knows no broadcast queue."""
    info = message.get_attr("IFLA_LINKINFO")
    kind = info.get_attr("IFLA_INFO_KIND") if info else None
    data = info.get_attr("IFLA_INFO_DATA") if info and kind in ("macvtap", "macvlan") else None
    mode = data.get_attr("IFLA_%s_MODE" % kind.upper()) if data else None
    vlan = info.get_attr("IFLA_INFO_DATA") if info and kind == "vlan" else None
    is_tagged = vlan is not None and vlan.get_attr("IFLA_VLAN_PROTOCOL") == 0x8100
    families = message.get_attr("IFLA_AF_SPEC")
    ipv6 = families.get_attr("AF_INET6") if families else None
    conf = ipv6.get_attr("IFLA_INET6_CONF") if ipv6 else None
    return Link(
        ifindex=message["index"],
        name=message.get_attr("IFLA_IFNAME") or "",
        kind=kind or "",
        mode=MODES.get(mode, mode),
        lower=message.get_attr("IFLA_LINK") or 0,
        lower_netnsid=message.get_attr("IFLA_LINK_NETNSID"),
        mac=message.get_attr("IFLA_ADDRESS") or "",
        mtu=message.get_attr("IFLA_MTU") or 0,
        flags=message["flags"],
        alias=message.get_attr("IFLA_IFALIAS") or "",
        group=message.get_attr("IFLA_GROUP") or 0,
        master=message.get_attr("IFLA_MASTER") or 0,
        operstate=(message.get_attr("IFLA_OPERSTATE") or "unknown").lower(),
        hardware=message["ifi_type"],
        ipv6_disabled=None if conf is None else bool(conf["disable_ipv6"]),
        queue_length=message.get_attr("IFLA_TXQLEN") or 0,
        qdisc=message.get_attr("IFLA_QDISC") or "",
        vlan=vlan.get_attr("IFLA_VLAN_ID") if is_tagged else None,
    )
