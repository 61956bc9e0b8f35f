# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Traffic control messages: bytes ↔ shapes. PURE.

What a guest sends passes the root qdisc of its link. What it receives passes the link's ingress (clsact), from where a
filter redirects it to an ifb, whose root qdisc shapes it and hands it back. The ifb is called after the link's index.
"""

from __future__ import annotations

import errno
import re
import struct
from collections.abc import Mapping
from typing import NamedTuple

from .._core.model import Link, Shape
from .._traffic import bandwidth
from . import message as wire

# linux/rtnetlink.h
RTM_NEWLINK, RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 16, 36, 37, 38
RTM_NEWTFILTER, RTM_DELTFILTER, RTM_GETTFILTER, RTM_NEWACTION, RTM_GETACTION = 44, 45, 46, 48, 50
_TCA_KIND, _TCA_OPTIONS = 1, 2
# linux/pkt_sched.h
_ROOT, _CLSACT, _INGRESS, _EGRESS = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFFFFF2, 0xFFFFFFF3
_INGRESS_HANDLE = 0xFFFF0000
_TBF_PARMS, _TBF_RATE64, _TBF_PRATE64, _TBF_BURST, _TBF_PBURST = 1, 4, 5, 6, 7
#: nanoseconds (PSCHED_SHIFT)
_TICK = 64
# linux/pkt_cls.h, linux/tc_act/tc_mirred.h
_U32_SEL, _U32_ACT, _ACT_KIND, _ACT_OPTIONS, _MIRRED_PARMS = 5, 7, 1, 2, 2
_ACT_TAB, _ROOT_FLAGS, _LARGE_DUMP, _REDIRECT, _STOLEN = 1, 2, 1, 1, 4

_TCMSG = struct.Struct("=BxxxiIII")
_RATESPEC = struct.Struct("=BBHhHI")
_MIRRED = struct.Struct("=IIiiiiI")
_U64 = struct.Struct("=Q")
_U32 = struct.Struct("=I")

#: "mv": what tells our qdiscs from those of others
HANDLE = 0x6D760000
#: of our filter
PRIORITY = HANDLE >> 16
#: for all protocols, in network byte order
_FILTER = (PRIORITY << 16) | 0x0300
#: the peak bucket holds a frame of any MTU
_LEAST_PEAK_BURST = 64 * 1024
_IFB = re.compile("mvtp([0-9a-f]{8})")
#: below 1280 the host has no IPv6 on a link; an ifb passes frames of any length
IFB_MTU = 68


class Qdisc(NamedTuple):
    """A qdisc of ours, or the ingress of a link."""

    ifindex: int
    #: None = it is an ingress
    shape: Shape | None


def ifb_name(ifindex: int) -> str:
    """The name of the ifb through which goes what the link of this index receives."""
    return f"mvtp{ifindex:08x}"


def ifb_alias(name: str) -> str:
    """The alias of the ifb of a link of this name, for a person who looks at it."""
    return f"linuxnet.macvtap: inbound of {name}"


def peak_burst(shape: Shape) -> int:
    """Bytes that may pass faster than the peak rate."""
    return max(_LEAST_PEAK_BURST, shape.peak // 250)


def ifbs(links: Mapping[int, Link]) -> dict[int, Link]:
    """The ifbs of ours, by the index of the link that each belongs to, which may be gone."""
    found = {}
    for link in links.values():
        name = _IFB.fullmatch(link.name) if link.kind == "ifb" else None
        if name is not None:
            found[int(name[1], 16)] = link
    return found


def ifb(name: str, kind: str = "ifb") -> bytes:
    """Creates an ifb."""
    info = wire.nla(wire.IFLA_LINKINFO, wire.nla(wire.IFLA_INFO_KIND, kind.encode()))
    return wire.body(0, wire.nla_text(wire.IFLA_IFNAME, name) + wire.nla_u32(wire.IFLA_MTU, IFB_MTU) + info)


def tbf(ifindex: int, shape: Shape) -> bytes:
    """Makes the root qdisc of a link one that shapes."""
    parameters = _rate(shape.rate) + _rate(shape.peak) + struct.pack("=III", bandwidth.queue_bytes(shape), 0, 0)
    options = wire.nla(_TBF_PARMS, parameters) + wire.nla_u32(_TBF_BURST, shape.burst)
    options += wire.nla(_TBF_RATE64, _U64.pack(shape.rate))
    if shape.peak:
        options += wire.nla(_TBF_PRATE64, _U64.pack(shape.peak)) + wire.nla_u32(_TBF_PBURST, peak_burst(shape))
    return _qdisc(ifindex, HANDLE, _ROOT, "tbf", wire.nla(_TCA_OPTIONS, options))


def _rate(rate: int) -> bytes:
    # TC_LINKLAYER_ETHERNET
    return _RATESPEC.pack(0, 1 if rate else 0, 0, 0, 0, min(rate, 0xFFFFFFFF))


def root(ifindex: int) -> bytes:
    """The root qdisc of ours, to be deleted."""
    return _TCMSG.pack(0, ifindex, HANDLE, _ROOT, 0)


def clsact(ifindex: int) -> bytes:
    """The ingress of a link, to be created or deleted."""
    return _qdisc(ifindex, _INGRESS_HANDLE, _CLSACT, "clsact")


def _qdisc(ifindex: int, handle: int, parent: int, kind: str, rest: bytes = b"") -> bytes:
    return _TCMSG.pack(0, ifindex, handle, parent, 0) + wire.nla_text(_TCA_KIND, kind) + rest


def redirect(ifindex: int, to: int) -> bytes:
    """Creates the filter that sends all that a link receives through an ifb."""
    # one key that every frame fits: sel with TC_U32_TERMINAL, then mask, value, offset
    selector = struct.pack("=BBBxHHhhI", 1, 0, 1, 0, 0, 0, 0, 0) + bytes(16)
    parameters = _MIRRED.pack(0, 0, _STOLEN, 0, 0, _REDIRECT, to)
    action = wire.nla_text(_ACT_KIND, "mirred") + wire.nla(_ACT_OPTIONS, wire.nla(_MIRRED_PARMS, parameters))
    options = wire.nla(_U32_SEL, selector) + wire.nla(_U32_ACT, wire.nla(1, action))
    return (
        _TCMSG.pack(0, ifindex, 0, _INGRESS, _FILTER)
        + wire.nla_text(_TCA_KIND, "u32")
        + wire.nla(_TCA_OPTIONS, options)
    )


def redirection(ifindex: int) -> bytes:
    """The filters of ours on a link, to be deleted."""
    return _TCMSG.pack(0, ifindex, 0, _INGRESS, _FILTER) + wire.nla_text(_TCA_KIND, "u32")


def filters(ifindex: int) -> tuple[bytes, bytes]:
    """The filters of a link, to be listed: ingress, egress."""
    return _TCMSG.pack(0, ifindex, 0, _INGRESS, 0), _TCMSG.pack(0, ifindex, 0, _EGRESS, 0)


def qdiscs() -> bytes:
    """All qdiscs, to be listed."""
    return _TCMSG.pack(0, 0, 0, 0, 0)


def decode_qdisc(data: bytes, start: int, end: int) -> Qdisc | None:
    """A qdisc of a list, None = of no interest."""
    _family, ifindex, handle, parent, _info = _TCMSG.unpack_from(data, start)
    if parent == _CLSACT:
        return Qdisc(ifindex, None)
    if handle != HANDLE or parent != _ROOT:
        return None
    for kind, first, last in wire.attributes(data, start + _TCMSG.size, end):
        if kind == _TCA_OPTIONS:
            return Qdisc(ifindex, _decode_tbf(data, first, last))
    return None


def _decode_tbf(data: bytes, start: int, end: int) -> Shape:
    at = {kind: first for kind, first, _last in wire.attributes(data, start, end)}
    if _TBF_PARMS not in at:
        return Shape(0)
    first = at[_TBF_PARMS]
    rate, peak = (_RATESPEC.unpack_from(data, first + offset)[5] for offset in (0, _RATESPEC.size))
    ticks = _U32.unpack_from(data, first + 2 * _RATESPEC.size + 4)[0]
    rate = _U64.unpack_from(data, at[_TBF_RATE64])[0] if _TBF_RATE64 in at else rate
    peak = _U64.unpack_from(data, at[_TBF_PRATE64])[0] if _TBF_PRATE64 in at else peak
    # as long as it takes at this rate is how the kernel keeps it
    burst = round(ticks * _TICK * rate / 1e9 / bandwidth.KIB) * bandwidth.KIB
    return Shape(rate, peak, burst)


def actions() -> bytes:
    """All redirections of this namespace, to be listed."""
    tab = wire.nla(_ACT_TAB, wire.nla(1, wire.nla_text(_ACT_KIND, "mirred")))
    return bytes(4) + tab + wire.nla(_ROOT_FLAGS, struct.pack("=II", _LARGE_DUMP, _LARGE_DUMP))


def decode_actions(data: bytes, start: int, end: int) -> list[int]:
    """The indexes of the links to which the filters of a list redirect."""
    found = []
    for kind, first, last in wire.attributes(data, start + 4, end):
        for _number, action, action_end in wire.attributes(data, first, last) if kind == _ACT_TAB else ():
            for item, item_first, item_last in wire.attributes(data, action, action_end):
                for part, part_first, _end in (
                    wire.attributes(data, item_first, item_last) if item == _ACT_OPTIONS else ()
                ):
                    if part == _MIRRED_PARMS:
                        *_head, bindings, what, ifindex = _MIRRED.unpack_from(data, part_first)
                        found += [ifindex] if bindings and what == _REDIRECT else []
    return found


def probes(qdisc: str = "tbf", link: str = "ifb", action: str = "mirred") -> dict[str, tuple[int, bytes, int]]:
    """For each kind of thing a request that the kernel refuses anyway, and the errno if it does not have the kind.

    lo gets no qdisc, since tbf requires options; mirred requires options too; no link can be called a/b.
    """
    lo = 1
    table = wire.nla(_ACT_TAB, wire.nla(1, wire.nla_text(_ACT_KIND, action)))
    return {
        "tbf": (RTM_NEWQDISC, _qdisc(lo, HANDLE, _ROOT, qdisc), errno.ENOENT),
        "ifb": (RTM_NEWLINK, ifb("a/b", link), errno.EOPNOTSUPP),
        "mirred": (RTM_NEWACTION, bytes(4) + table, errno.ENOENT),
    }
