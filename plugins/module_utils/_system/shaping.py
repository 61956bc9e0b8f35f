# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Limits the bandwidth of links: all in a few batches, and nothing at all where no link is limited."""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping, Sequence

from .._core.errors import HostError, Refused
from .._core.explain import why
from .._core.model import IFF_UP, Bandwidth, Link, Shape
from .._link import message as wire
from .._link import tc
from .._traffic import bandwidth
from .netlink import Reply
from .rtnetlink import Netlink

_EXCL, _REPLACE, _CREATE = 0x200, 0x100, 0x400
#: an ifb is there, and not complete
_INCOMPLETE = Shape(0)
#: what is to be removed is gone already, was never there, or is another program's
_ABSENT = (0, errno.ENOENT, errno.EINVAL, errno.ENODEV)
_NAMES = {
    "tbf": "the qdisc tbf (sch_tbf)",
    "ifb": "links of type ifb (ifb)",
    "mirred": "the action mirred (act_mirred)",
}


def links(netlink: Netlink) -> dict[int, Link]:
    """All links by ifindex, each macvtap with its bandwidth and its ifb."""
    found = netlink.links()
    ifbs = tc.ifbs(found)
    if not ifbs and not any(link.is_macvtap and link.qdisc == "tbf" for link in found.values()):
        return found
    qdiscs = [qdisc for qdisc in netlink.listed(tc.RTM_GETQDISC, tc.qdiscs(), tc.decode_qdisc) if qdisc is not None]
    shapes = {qdisc.ifindex: qdisc.shape for qdisc in qdiscs if qdisc.shape is not None}
    ingresses = {qdisc.ifindex for qdisc in qdiscs if qdisc.shape is None}
    targets = _redirected(netlink) if ifbs else set()
    for index, link in found.items():
        ifb = ifbs.get(index)
        if not link.is_macvtap or (ifb is None and index not in shapes):
            continue
        inbound = None
        if ifb is not None:
            is_complete = ifb.is_up and ifb.ifindex in targets and index in ingresses
            inbound = shapes.get(ifb.ifindex, _INCOMPLETE) if is_complete else _INCOMPLETE
        found[index] = link._replace(bandwidth=Bandwidth(inbound, shapes.get(index)), ifb=ifb.ifindex if ifb else 0)
    return found


def _redirected(netlink: Netlink) -> set[int]:
    return {index for some in netlink.listed(tc.RTM_GETACTION, tc.actions(), tc.decode_actions) for index in some}


def require(netlink: Netlink, wanted: Iterable[Link]) -> None:
    """Find out before the first change whether this kernel can limit these links.

    :raises Refused: naming what it lacks.
    """
    kinds = {kind for link in wanted for kind in bandwidth.needs(link.bandwidth)}
    for kind, (request, body, unknown) in tc.probes().items():
        if kind in kinds:
            reply = netlink.exchange([(request, body)], _CREATE | _EXCL)[0]
            if reply.errno == unknown:
                raise Refused(
                    f"bandwidth needs {_NAMES[kind]}, which this kernel does not have; leave bandwidth out, or boot a"
                    " kernel with it"
                )


def limit(netlink: Netlink, wanted: Sequence[Link]) -> None:
    """Limit each link as it says, and remove what limits it where it says nothing.

    :raises HostError: naming the first link for which the kernel refused.
    """
    if not wanted:
        return
    found = links(netlink)
    new = [link for link in wanted if _inbound(link) and not _ifb(found, link)]
    if new:
        bodies = [(tc.RTM_NEWLINK, tc.ifb(tc.ifb_name(link.ifindex))) for link in new]
        _require(new, netlink.exchange(bodies, _CREATE | _EXCL))
        found = links(netlink)
    _remove(netlink, [link for link in wanted if link.ifindex in found], found)
    steps = [(link, *step) for link in wanted for step in _steps(link, found)]
    # a filter that exists already is not replaced but joined
    for flags in (_CREATE | _REPLACE, _CREATE):
        part = [step for step in steps if (step[1] == tc.RTM_NEWQDISC) == (flags != _CREATE)]
        _require([step[0] for step in part], netlink.exchange([step[1:] for step in part], flags))


def _steps(link: Link, found: Mapping[int, Link]) -> list[tuple[int, bytes]]:
    outbound, inbound = link.bandwidth and link.bandwidth.outbound, _inbound(link)
    steps = [] if outbound is None else [(tc.RTM_NEWQDISC, tc.tbf(link.ifindex, outbound))]
    if inbound is not None:
        ifb = _ifb(found, link)
        alias = wire.nla(wire.IFLA_IFALIAS, tc.ifb_alias(link.name).encode())
        steps += [
            (tc.RTM_NEWQDISC, tc.tbf(ifb, inbound)),
            (tc.RTM_NEWQDISC, tc.clsact(link.ifindex)),
            (tc.RTM_NEWLINK, wire.body(ifb, alias, IFF_UP, IFF_UP)),
        ]
        if _is_incomplete(found[link.ifindex]):
            steps.append((tc.RTM_NEWTFILTER, tc.redirect(link.ifindex, ifb)))
    return steps


def _inbound(link: Link) -> Shape | None:
    return link.bandwidth.inbound if link.bandwidth is not None else None


def _is_incomplete(link: Link) -> bool:
    inbound = _inbound(link)
    return inbound is not None and not inbound.rate


def _ifb(found: Mapping[int, Link], link: Link) -> int:
    return found[link.ifindex].ifb if link.ifindex in found else 0


def _remove(netlink: Netlink, wanted: Sequence[Link], found: Mapping[int, Link]) -> None:
    """What limits links and is not wanted any more, or is to be created again."""
    free = [link for link in wanted if not _inbound(link) and _ifb(found, link)]
    steps = [
        (tc.RTM_DELTFILTER, tc.redirection(link.ifindex))
        for link in wanted
        if link in free or (_inbound(link) and _is_incomplete(found[link.ifindex]))
    ]
    for link in wanted:
        limited = found[link.ifindex].bandwidth
        if limited is not None and limited.outbound is not None and not (link.bandwidth and link.bandwidth.outbound):
            steps.append((tc.RTM_DELQDISC, tc.root(link.ifindex)))
    for reply in netlink.exchange(steps):
        if reply.errno not in _ABSENT:
            raise HostError(f"cannot remove a limit of bandwidth: {why(*reply)}", reply.errno)
    # an ingress may have filters of others
    alone = [link for link in free if not any(_filters(netlink, link))]
    netlink.exchange([(tc.RTM_DELQDISC, tc.clsact(link.ifindex)) for link in alone])
    netlink.delete([found[_ifb(found, link)] for link in free])


def _filters(netlink: Netlink, link: Link) -> list[list[None]]:
    return [netlink.listed(tc.RTM_GETTFILTER, body, lambda *_message: None) for body in tc.filters(link.ifindex)]


def _require(targets: Sequence[Link], replies: Sequence[Reply]) -> None:
    for link, reply in zip(targets, replies):
        if reply.errno:
            raise HostError(f"cannot limit the bandwidth of link {link.name}: {why(*reply)}", reply.errno)
