# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""RTM_NEWLINK messages: bytes ↔ :class:`Link`. PURE.

pyroute2 takes 0.5 ms to encode or decode a message; a host may have thousands of links, so the two shapes of message
needed for macvtaps are packed and unpacked here. The tests hold both against pyroute2 on real messages.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from .._core.model import Link, VirtualFunction

# linux/if_link.h
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_QDISC, IFLA_MASTER, IFLA_TXQLEN = 1, 3, 4, 5, 6, 10, 13
IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_IFALIAS, IFLA_AF_SPEC, IFLA_GROUP = 16, 18, 20, 26, 27
IFLA_NET_NS_FD, IFLA_EXT_MASK, IFLA_LINK_NETNSID = 28, 29, 37
IFLA_PROP_LIST, IFLA_ALT_IFNAME, IFLA_PERM_ADDRESS = 52, 53, 54
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
#: the second since Linux 5.11; what all links of a lower device ask for makes one queue, as long as the longest
IFLA_MACVLAN_MODE, IFLA_MACVLAN_BC_QUEUE_LEN = 1, 7
IFLA_INET6_CONF = 2
#: position of disable_ipv6 in the u32 array of IFLA_INET6_CONF (linux/ipv6.h, DEVCONF_DISABLE_IPV6)
_DEVCONF_DISABLE_IPV6 = 26
_AF_INET6 = 10
# linux/if_link.h; the protocol is in network byte order
IFLA_VLAN_ID, _IFLA_VLAN_PROTOCOL, _8021Q = 1, 5, b"\x81\x00"
_NLA_TYPE_MASK = 0x3FFF

_NLA_F_NESTED = 0x8000
_USED_KINDS = (
    IFLA_ADDRESS,
    IFLA_IFNAME,
    IFLA_MTU,
    IFLA_LINK,
    IFLA_QDISC,
    IFLA_MASTER,
    IFLA_TXQLEN,
    IFLA_OPERSTATE,
    IFLA_LINKINFO,
    IFLA_IFALIAS,
    IFLA_AF_SPEC,
    IFLA_GROUP,
    IFLA_LINK_NETNSID,
    IFLA_PROP_LIST,
    IFLA_PERM_ADDRESS,
)
#: as they come on the wire, where the kernel marks some as nested
_USED = frozenset(_USED_KINDS).union(kind | _NLA_F_NESTED for kind in _USED_KINDS)

#: of a physical function: what it does for each virtual function
_IFLA_VFINFO_LIST, _IFLA_VF_INFO, _IFLA_VF_VLAN, _IFLA_VF_SPOOFCHK, _IFLA_VF_TRUST = 22, 1, 2, 4, 9
_NOT_SAID = 0xFFFFFFFF

# linux/if_addr.h, linux/rtnetlink.h
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFA_F_PERMANENT, _RT_SCOPE_LINK = 0x80, 253

IFINFOMSG = struct.Struct("=BxHiII")
IFADDRMSG = struct.Struct("=BBBBi")
_NLA = struct.Struct("=HH")
_U32 = struct.Struct("=I")
_I32 = struct.Struct("=i")
_U16 = struct.Struct("=H")

MODE_TO_KERNEL = {"private": 1, "vepa": 2, "bridge": 4, "passthrough": 8, "source": 16}
_MODE_FROM_KERNEL = {number: word for word, number in MODE_TO_KERNEL.items()}
#: RFC 2863 states in the order of linux/if.h (IF_OPER_*)
_OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")


def nla(kind: int, payload: bytes) -> bytes:
    """One netlink attribute, padded to four bytes."""
    length = 4 + len(payload)
    return _NLA.pack(length, kind) + payload + b"\0" * (-length % 4)


def nla_u32(kind: int, value: int) -> bytes:
    """One netlink attribute that holds a number."""
    return nla(kind, _U32.pack(value))


def nla_text(kind: int, text: str) -> bytes:
    """One netlink attribute that holds a string, as the file system encodes names."""
    return nla(kind, text.encode("utf-8", "surrogateescape") + b"\0")


def nla_tag(alias: str, group: int) -> bytes:
    """The alias, and the group that a link has from then on (see :data:`_core.model.MAKING_GROUP`).

    Without the final NUL, which the kernel would count among the 255 bytes it allows; "" removes the alias.
    """
    return nla(IFLA_IFALIAS, alias.encode("utf-8", "surrogateescape")) + nla_u32(IFLA_GROUP, group)


def nla_mac(mac: str) -> bytes:
    """The MAC address of a link."""
    return nla(IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))


def nla_mode(mode: str | None) -> bytes:
    """The mode of a macvtap, for :func:`nla_link_info`; a link without a mode (never ours) gives nothing."""
    return b"" if mode is None else nla_u32(IFLA_MACVLAN_MODE, MODE_TO_KERNEL[mode])


def nla_broadcast_queue(length: int | None) -> bytes:
    """The length of the broadcast queue that a macvtap asks for, for :func:`nla_link_info`; None gives nothing."""
    return b"" if length is None else nla_u32(IFLA_MACVLAN_BC_QUEUE_LEN, length)


def nla_link_info(data: bytes) -> bytes:
    """Link info that creates or changes a macvtap, from the attributes of macvtap; without any it gives nothing."""
    if not data:
        return b""
    return nla(IFLA_LINKINFO, nla(IFLA_INFO_KIND, b"macvtap") + nla(IFLA_INFO_DATA, data))


def nla_vlan(vlan: int) -> bytes:
    """Link info that creates a VLAN device."""
    data = nla(IFLA_INFO_DATA, nla(IFLA_VLAN_ID, _U16.pack(vlan)))
    return nla(IFLA_LINKINFO, nla(IFLA_INFO_KIND, b"vlan") + data)


def body(ifindex: int, attributes: bytes = b"", flags: int = 0, change: int = 0) -> bytes:
    """An ifinfomsg with its attributes; ``change`` says which of the ``flags`` are meant."""
    return IFINFOMSG.pack(0, 0, ifindex, flags, change) + attributes


def attributes(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(type, start, end) of the payload of each attribute in ``data[start:end]``."""
    unpack = _NLA.unpack_from
    while start + 4 <= end:
        length, kind = unpack(data, start)
        if length < 4:
            return
        yield kind & _NLA_TYPE_MASK, start + 4, start + length
        start += (length + 3) & ~3


def decode_link(data: bytes, start: int, end: int) -> Link:
    """The link described by the RTM_NEWLINK payload ``data[start:end]``."""
    _family, hardware, ifindex, flags, _change = IFINFOMSG.unpack_from(data, start)
    at = _find(data, start + IFINFOMSG.size, end)

    def number(kind: int) -> int:
        return _U32.unpack_from(data, at[kind][0])[0] if kind in at else 0

    def text(kind: int) -> str:
        return _text(data, *at[kind]) if kind in at else ""

    def mac(kind: int) -> str:
        first, last = at.get(kind, (0, 0))
        return data[first:last].hex(":") if last > first else ""

    link_kind, mode, queue, vlan = (
        _link_info(data, *at[IFLA_LINKINFO]) if IFLA_LINKINFO in at else ("", None, None, None)
    )
    operstate = data[at[IFLA_OPERSTATE][0]] if IFLA_OPERSTATE in at else 0
    return Link(
        ifindex=ifindex,
        name=text(IFLA_IFNAME),
        kind=link_kind,
        mode=mode,
        lower=number(IFLA_LINK),
        lower_netnsid=_I32.unpack_from(data, at[IFLA_LINK_NETNSID][0])[0] if IFLA_LINK_NETNSID in at else None,
        mac=mac(IFLA_ADDRESS),
        mtu=number(IFLA_MTU),
        flags=flags,
        alias=text(IFLA_IFALIAS),
        group=number(IFLA_GROUP),
        master=number(IFLA_MASTER),
        operstate=_OPERSTATES[operstate] if operstate < len(_OPERSTATES) else "unknown",
        hardware=hardware,
        ipv6_disabled=_ipv6_disabled(data, *at[IFLA_AF_SPEC]) if IFLA_AF_SPEC in at else None,
        queue_length=number(IFLA_TXQLEN),
        qdisc=text(IFLA_QDISC),
        broadcast_queue=queue,
        altnames=_altnames(data, *at[IFLA_PROP_LIST]) if IFLA_PROP_LIST in at else (),
        vlan=vlan,
        permanent_mac=mac(IFLA_PERM_ADDRESS),
    )


def decode_address(data: bytes, start: int, end: int) -> tuple[int, str] | None:
    """(ifindex, address with prefix length) of the RTM_NEWADDR payload ``data[start:end]``.

    None for one that goes by itself (a router or a DHCP server gave it for a time) and for a link-local one.
    """
    _family, length, flags, scope, ifindex = IFADDRMSG.unpack_from(data, start)
    if not flags & _IFA_F_PERMANENT or scope >= _RT_SCOPE_LINK:
        return None
    at = {kind: data[first:last] for kind, first, last in attributes(data, start + IFADDRMSG.size, end)}
    # of a point-to-point link the first is the other end
    address = at.get(_IFA_LOCAL) or at.get(_IFA_ADDRESS)
    # imported here, since only host links need it
    from ipaddress import ip_address

    return None if address is None else (ifindex, f"{ip_address(address)}/{length}")


def nla_vf(number: int, name: str, value: int) -> bytes:
    """One setting (a field of VirtualFunction) of the virtual function with this number, for its physical function."""
    if name == "vlan":
        word = nla(_IFLA_VF_VLAN, struct.pack("=III", number, value & 0xFFF, value >> 13))
    else:
        word = nla({"trust": _IFLA_VF_TRUST, "spoof_check": _IFLA_VF_SPOOFCHK}[name], struct.pack("=II", number, value))
    return nla(_IFLA_VFINFO_LIST | _NLA_F_NESTED, nla(_IFLA_VF_INFO | _NLA_F_NESTED, word))


def decode_vfs(data: bytes, start: int, end: int) -> tuple[int, dict[int, VirtualFunction]]:
    """(ifindex, number → virtual function) of the physical function described by the RTM_NEWLINK payload."""
    ifindex = IFINFOMSG.unpack_from(data, start)[2]
    found = {}
    for kind, first, last in attributes(data, start + IFINFOMSG.size, end):
        for _info, info_first, info_last in attributes(data, first, last) if kind == _IFLA_VFINFO_LIST else ():
            at = {word: data[begin:finish] for word, begin, finish in attributes(data, info_first, info_last)}
            number, vlan, priority = struct.unpack_from("=III", at[_IFLA_VF_VLAN])
            flags = [
                _U32.unpack_from(at[word], 4)[0] if word in at else _NOT_SAID
                for word in (_IFLA_VF_TRUST, _IFLA_VF_SPOOFCHK)
            ]
            said = [None if flag == _NOT_SAID else bool(flag) for flag in flags]
            found[number] = VirtualFunction(vlan | priority << 13, *said)
    return ifindex, found


def decode_group(data: bytes, start: int, end: int) -> tuple[int, int]:
    """(ifindex, group) of the link described by the RTM_NEWLINK payload ``data[start:end]``."""
    ifindex = IFINFOMSG.unpack_from(data, start)[2]
    for kind, first, _last in attributes(data, start + IFINFOMSG.size, end):
        if kind == IFLA_GROUP:
            return ifindex, _U32.unpack_from(data, first)[0]
    return ifindex, 0


def _find(data: bytes, start: int, end: int) -> dict[int, tuple[int, int]]:
    """Where the payloads of the attributes used here lie.

    As :func:`attributes`, without a generator: a link has sixty attributes and a host thousands of links.
    """
    at = {}
    unpack, used = _NLA.unpack_from, _USED
    while start + 4 <= end:
        length, kind = unpack(data, start)
        if length < 4:
            break
        if kind in used:
            at[kind & _NLA_TYPE_MASK] = (start + 4, start + length)
        start += (length + 3) & ~3
    return at


def _text(data: bytes, first: int, last: int) -> str:
    return data[first:last].rstrip(b"\0").decode("utf-8", "surrogateescape")


def _altnames(data: bytes, start: int, end: int) -> tuple[str, ...]:
    properties = attributes(data, start, end)
    return tuple(_text(data, first, last) for kind, first, last in properties if kind == IFLA_ALT_IFNAME)


def _link_info(data: bytes, start: int, end: int) -> tuple[str, str | None, int | None, int | None]:
    """Kind of a link, mode and length of the broadcast queue of a macvtap or macvlan, and tag of a VLAN device."""
    kind, mode, queue, vlan = "", None, None, None
    for info, first, last in attributes(data, start, end):
        if info == IFLA_INFO_KIND:
            kind = data[first:last].rstrip(b"\0").decode("ascii", "replace")
        elif info == IFLA_INFO_DATA and kind in ("macvtap", "macvlan"):
            for item, item_first, _item_last in attributes(data, first, last):
                if item == IFLA_MACVLAN_MODE:
                    mode = _MODE_FROM_KERNEL.get(_U32.unpack_from(data, item_first)[0])
                elif item == IFLA_MACVLAN_BC_QUEUE_LEN:
                    queue = _U32.unpack_from(data, item_first)[0]
        elif info == IFLA_INFO_DATA and kind == "vlan":
            said = {item: data[item_first:item_last] for item, item_first, item_last in attributes(data, first, last)}
            if said.get(_IFLA_VLAN_PROTOCOL) == _8021Q:
                vlan = _U16.unpack(said[IFLA_VLAN_ID])[0]
    return kind, mode, queue, vlan


def _ipv6_disabled(data: bytes, start: int, end: int) -> bool | None:
    for family, first, last in attributes(data, start, end):
        if family == _AF_INET6:
            for item, item_first, item_last in attributes(data, first, last):
                offset = item_first + 4 * _DEVCONF_DISABLE_IPV6
                if item == IFLA_INET6_CONF and offset + 4 <= item_last:
                    return bool(_U32.unpack_from(data, offset)[0])
    return None
