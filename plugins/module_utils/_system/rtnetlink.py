# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Links over netlink: one dump in, batches of requests out, an errno back for each.

Bulk work on macvtap links uses our own packing (see :mod:`_link.message`); what is done for a handful of lower devices
uses pyroute2, which is imported only then: its import alone takes longer than most runs.
"""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterable, Sequence
from typing import Any

from .._core.errors import UNDOING_MET, HostError, missing_library
from .._core.explain import why
from .._core.model import MAKING_GROUP, Link
from .._link import attributes
from .._link import message as wire
from .netlink import Reply, RouteSocket

# linux/rtnetlink.h, linux/netlink.h
_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK, _RTM_GETADDR = 16, 17, 18, 22
_EXCL, _CREATE = 0x200, 0x400
_RTEXT_FILTER_SKIP_STATS = 8

#: a txqueuelen that no allocation satisfies (KMALLOC_MAX_SIZE, linux/ptr_ring.h)
_ENDLESS_QUEUE = 0x7FFFFFFF
#: asks for links
_LINKS = wire.body(0, wire.nla_u32(wire.IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS))

#: what only pyroute2 does, in messages
_BRINGING_UP = "bringing up a lower device"


class Netlink(RouteSocket):
    """The links of this process's network namespace."""

    def links(self) -> dict[int, Link]:
        """All links of this network namespace by ifindex, without statistics."""
        return {link.ifindex: link for link in self.listed(_RTM_GETLINK, _LINKS, wire.decode_link)}

    def addresses(self) -> dict[int, tuple[str, ...]]:
        """Addresses of all links by ifindex, with their prefix lengths.

        Those that do not come and go by themselves, as from a router advertisement, and are not link-local.
        """
        found: dict[int, list[str]] = {}
        for index, address in filter(None, self.listed(_RTM_GETADDR, _LINKS, wire.decode_address)):
            found.setdefault(index, []).append(address)
        return {index: tuple(each) for index, each in found.items()}

    def create(self, links: Sequence[Link], namespace: int | None = None) -> list[Reply]:
        """Make macvtaps, down, with mode, name, MAC, MTU and flags, in :data:`MAKING_GROUP` until they are marked.

        :arg namespace: descriptor of the network namespace to make them in, None = this one.
        :returns: one reply per link, in order; the others are made although one fails.
        """
        requests = []
        for link in links:
            payload, flags, change = attributes.encode(link, attributes.AT_CREATION)
            payload += wire.nla_u32(wire.IFLA_LINK, link.lower)
            payload += wire.nla_u32(wire.IFLA_GROUP, MAKING_GROUP)
            if namespace is not None:
                payload += wire.nla_u32(wire.IFLA_NET_NS_FD, namespace)
            requests.append((_RTM_NEWLINK, wire.body(link.ifindex, payload, flags, change)))
        return self.exchange(requests, _CREATE | _EXCL)

    def change(self, changes: Sequence[tuple[Link, tuple[str, ...]]]) -> list[Reply]:
        """Set the named attributes (see :data:`attributes.ATTRIBUTES`) of each link to the values it carries.

        RTM_NEWLINK: RTM_SETLINK with link info reports success and does nothing.
        """
        return self.exchange(
            [(_RTM_NEWLINK, wire.body(link.ifindex, *attributes.encode(link, names))) for link, names in changes]
        )

    def opened(self, links: Sequence[Link]) -> list[bool | None]:
        """Whether anybody has the tap of each macvtap open.

        The kernel refuses a queue that it cannot allocate for the open files of a tap (EPERM, tap_queue_resize in
        drivers/net/tap.c), and leaves them as they are. A tap that no process has open takes the length, or its qdisc
        refuses it (ENOMEM); it gets its own length back by the next message of the same send, so that no signal comes
        between them. What opens such a tap in between gets ENOMEM.

        :returns: one answer per link, in order; None = the kernel does not say: for want of CAP_NET_ADMIN (EPERM), or
            since it is one that takes no length above 32767 (ERANGE; Linux 6.1.192).
        :raises HostError: a link kept the wrong length.
        """
        replies = self._set(
            wire.IFLA_TXQLEN,
            [(link.ifindex, length) for link in links for length in (_ENDLESS_QUEUE, link.queue_length)],
        )
        pairs = list(zip(replies[::2], replies[1::2]))
        left = [link for link, (asked, reset) in zip(links, pairs) if not asked.errno and reset.errno]
        again = self._set(wire.IFLA_TXQLEN, [(link.ifindex, link.queue_length) for link in left])
        for link, reply in zip(left, again):
            if reply.errno not in (0, errno.ENODEV):
                raise HostError(
                    f"cannot set txqueuelen of {link.name} back to {link.queue_length}: {why(*reply)}; set it with ip"
                    " link",
                    reply.errno,
                )
        return [_is_open(asked.errno, reset.errno) for asked, reset in pairs]

    def delete(self, links: Sequence[Link]) -> None:
        """Delete exactly these links in one request; those that are gone already are no error.

        Deleting one by one costs 17 ms each. They are moved to a group of their own, one of 2**31 by chance, and the
        group is deleted after a look that nothing else is in it.

        :raises HostError: when the kernel refuses, or something else got into the group; then none is deleted.
        """
        if not links:
            return
        group = random.getrandbits(31)
        try:
            replies = self._set(wire.IFLA_GROUP, [(link.ifindex, group) for link in links])
            refused = next((reply for reply in replies if reply.errno not in (0, errno.ENODEV)), None)
            if refused is not None:
                raise HostError(f"the links could not be set apart for deletion: {why(*refused)}", refused.errno)
            members = self._members(group)
            strangers = members - {link.ifindex for link in links}
            if strangers:
                raise HostError(f"nothing was deleted: links {sorted(strangers)} were put among those to delete")
            if members:
                body = wire.body(0, wire.nla_u32(wire.IFLA_GROUP, group))
                reply = self.exchange([(_RTM_DELLINK, body)])[0]
                # ENODEV: another program deleted them a moment ago, or so the kernel says
                if reply.errno not in (0, errno.ENODEV) or (reply.errno and self._members(group)):
                    raise HostError(f"the kernel did not delete the links: {why(*reply)}", reply.errno)
        except HostError as exc:
            left = self._left_in_group(links)
            if left:
                exc.undone += (f"{UNDOING_MET}links {', '.join(left)} stay in link group {group}",)
            raise

    def _members(self, group: int) -> set[int]:
        return {index for index, other in self.listed(_RTM_GETLINK, _LINKS, wire.decode_group) if other == group}

    def _left_in_group(self, links: Sequence[Link]) -> list[str]:
        """Give links back the group that they were in; returns the names of those that did not take it."""
        try:
            replies = self._set(wire.IFLA_GROUP, [(link.ifindex, link.group) for link in links])
        except HostError:
            return [link.name for link in links]
        return [link.name for link, reply in zip(links, replies) if reply.errno not in (0, errno.ENODEV)]

    def _set(self, attribute: int, values: Iterable[tuple[int, int]]) -> list[Reply]:
        """Set one number of each link (its index, the number)."""
        return self.exchange(
            [(_RTM_NEWLINK, wire.body(index, wire.nla_u32(attribute, value))) for index, value in values]
        )


def set_ipv6(name: str, enabled: bool) -> Reply:
    """Switch IPv6 of one link on or off by its sysctl (Documentation/networking/ip-sysctl.rst, disable_ipv6).

    Address generation "none" is not enough: a router advertisement still gives the link an address.
    """
    path = f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"0" if enabled else b"1")
        finally:
            os.close(descriptor)
    except OSError as exc:
        return Reply(exc.errno or errno.EIO, path)
    return Reply(0)


def bring_up(ifindexes: Iterable[int], up: bool = True) -> None:
    """Set lower devices up (or down again); their addresses, MAC and MTU are not touched.

    :raises HostError: naming the errno of the first that failed.
    """
    pyroute2 = import_pyroute2(_BRINGING_UP)
    with pyroute2.IPRoute() as route:
        for index in ifindexes:
            try:
                route.link("set", index=index, state="up" if up else "down")
            except pyroute2.NetlinkError as exc:
                raise HostError(why(exc.code), exc.code) from exc


def statistics(ifindexes: Iterable[int]) -> dict[int, dict[str, int]]:
    """Counters of macvtap links by ifindex, as the guest sees them.

    :returns: ``rx_bytes``, ``rx_packets``, ``rx_errors``, ``rx_dropped`` and the same with ``tx_``.
    :raises HostError: when the kernel refuses.
    :raises MissingLibrary: without pyroute2.
    """
    pyroute2 = import_pyroute2("reading statistics")
    wanted = set(ifindexes)
    names = [f"{side}_{what}" for side in ("rx", "tx") for what in ("bytes", "packets", "errors", "dropped")]
    found = {}
    with pyroute2.IPRoute() as route:
        try:
            for message in route.get_links():
                counters: Any = message.get_attr("IFLA_STATS64")
                if message["index"] in wanted and counters:
                    found[message["index"]] = {name: int(counters[name]) for name in names}
        except pyroute2.NetlinkError as exc:
            raise HostError(f"cannot read the statistics of links: {why(exc.code)}", exc.code) from exc
    return found


def require_pyroute2() -> None:
    """Find out before the first change whether :func:`bring_up` can work.

    :raises MissingLibrary: it cannot.
    """
    import_pyroute2(_BRINGING_UP)


def import_pyroute2(purpose: str) -> Any:
    """The library.

    :arg purpose: what needs it, as the subject of a sentence.
    :raises MissingLibrary: it is not there.
    """
    try:
        import pyroute2
    except ImportError as exc:
        raise missing_library(purpose, "pyroute2", exc) from exc
    return pyroute2


def _is_open(asked: int, reset: int) -> bool | None:
    """What the errnos of an endless queue, and of the length that the link has, say of its tap."""
    if asked in (0, errno.ENOMEM, errno.ENODEV):
        return False
    return True if (asked, reset) == (errno.EPERM, 0) else None
