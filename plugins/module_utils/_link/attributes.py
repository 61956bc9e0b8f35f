# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The one table of link attributes: how each is read, written and shown, and whether a live link can take it. PURE.

Comparing, planning, applying and the diff all walk this table.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from .._core.model import IFF_ALLMULTI, IFF_NOARP, IFF_PROMISC, IFF_UP, Link
from . import message as wire


def _never(_old: Any, _new: Any) -> bool:
    return False


def _always(_old: Any, _new: Any) -> bool:
    """IFLA_LINK on a live macvlan is silently ignored, and success reported."""
    return True


def _crosses_passthrough(old: Any, new: Any) -> bool:
    """The kernel changes modes in place except to and from passthru (macvlan_changelink: EINVAL)."""
    return "passthrough" in (old, new)


class Attribute(NamedTuple):
    """One attribute of a macvtap link."""

    #: as in results and diffs
    name: str
    read: Callable[[Link], Any]
    #: the netlink attribute that sets it, or None
    encode: Callable[[Link], bytes] | None = None
    #: the IFF_* bit that sets it, or 0
    flag: int = 0
    #: True when a live link cannot go from the first to the second value and must be made again
    recreate: Callable[[Any, Any], bool] = _never


#: In the order in which the diff and the actions name them.
ATTRIBUTES = (
    Attribute("device", lambda link: link.lower, recreate=_always),
    Attribute("mode", lambda link: link.mode, lambda link: wire.nla_mode(link.mode), recreate=_crosses_passthrough),
    Attribute("ifname", lambda link: link.name, lambda link: wire.nla_text(wire.IFLA_IFNAME, link.name)),
    Attribute("mac", lambda link: link.mac, lambda link: wire.nla_mac(link.mac)),
    Attribute("mtu", lambda link: link.mtu, lambda link: wire.nla_u32(wire.IFLA_MTU, link.mtu)),
    Attribute("allmulticast", lambda link: bool(link.flags & IFF_ALLMULTI), flag=IFF_ALLMULTI),
    Attribute("promiscuous", lambda link: bool(link.flags & IFF_PROMISC), flag=IFF_PROMISC),
    Attribute("arp", lambda link: not link.flags & IFF_NOARP, flag=IFF_NOARP),
    # written through /proc/sys: netlink cannot (see IPV6)
    Attribute("ipv6", lambda link: None if link.ipv6_disabled is None else not link.ipv6_disabled),
    Attribute("mark", lambda link: link.alias, lambda link: wire.nla_tag(link.alias, link.group)),
    Attribute("link_state", lambda link: "up" if link.flags & IFF_UP else "down", flag=IFF_UP),
)
BY_NAME = {attribute.name: attribute for attribute in ATTRIBUTES}

#: set in RTM_NEWLINK with NLM_F_CREATE already: the flags too, so that not one frame leaves before silence
AT_CREATION = ("mode", "ifname", "mac", "mtu", "allmulticast", "promiscuous", "arp")
IPV6 = "ipv6"
#: RFC 8200; the kernel takes IPv6 off a link with a smaller MTU and puts it back, switched on, when that grows
_IPV6_MIN_MTU = 1280
LINK_STATE = "link_state"


def differences(found: Link, wanted: Link) -> tuple[str, ...]:
    """Names of the attributes in which two links differ, in the order of the table."""
    if found.ipv6_disabled is None and not found.mtu < _IPV6_MIN_MTU <= wanted.mtu:
        # no IPv6 in this kernel or on this link: nothing to switch
        found = found._replace(ipv6_disabled=wanted.ipv6_disabled)
    return tuple(row.name for row in ATTRIBUTES if row.read(found) != row.read(wanted))


def forcing(found: Link, wanted: Link) -> list[Attribute]:
    """The attributes for which the kernel cannot turn ``found`` into ``wanted`` in place; empty = it can."""
    pairs = [(row, row.read(found), row.read(wanted)) for row in ATTRIBUTES]
    return [row for row, old, new in pairs if old != new and row.recreate(old, new)]


def must_go_down(found: Link, wanted: Link) -> bool:
    """True when a live link must be down while it is changed.

    Its new MTU may give it IPv6 back, switched on, and so an address before it is silent. And macvlan counts
    allmulticast of a passthrough link on the lower device when the flag changes, but not when the link goes up or down
    with it: the lower device's counter would underflow (macvlan_change_rx_flags, macvlan_open).
    """
    names = differences(found, wanted)
    regains_ipv6 = found.ipv6_disabled is None and IPV6 in names
    miscounts = wanted.mode == "passthrough" and "allmulticast" in names
    return found.is_up and wanted.is_up and (regains_ipv6 or miscounts)


def encode(link: Link, names: tuple[str, ...]) -> tuple[bytes, int, int]:
    """The named attributes of ``link`` for a message: (netlink attributes, flags, flags meant)."""
    payload, change = b"", 0
    for name in names:
        row = BY_NAME[name]
        change |= row.flag
        if row.encode is not None:
            payload += row.encode(link)
    return payload, link.flags & change, change
