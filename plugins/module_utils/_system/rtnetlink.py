# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The room that talks netlink: one dump in, batches of requests out, an errno back for each.

Bulk work on macvtap links goes through a plain socket with our own packing (see :mod:`_link.message`); what is done for
a handful of lower devices uses pyroute2, which is imported only then: its import alone takes longer than most runs.
"""

from __future__ import annotations

import errno
import os
import random
import socket
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Callable, NamedTuple, TypeVar

from .._core.errors import UNDOING_MET, HostError, missing_library
from .._core.explain import why
from .._core.model import MAKING_GROUP, Link
from .._link import attributes
from .._link import message as wire

# linux/rtnetlink.h, linux/netlink.h
_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK, _RTM_GETADDR = 16, 17, 18, 22
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _ACK, _DUMP, _DUMP_INTR, _EXCL, _CREATE = 0x1, 0x4, 0x300, 0x10, 0x200, 0x400
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_NLMSGERR_ATTR_MSG = 1
_RTEXT_FILTER_SKIP_STATS = 8
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32

_HEADER = struct.Struct("=IHHII")

#: messages in one send. The kernel queues one acknowledgement each before we can read the first; 3000 overran the
#: receive buffer, and a lost acknowledgement is waited for in vain.
_BATCH = 500
_BUFFER_BYTES = 8 << 20
_CHUNK_BYTES = 1 << 18
#: seconds; the kernel answers within milliseconds unless the machine is in deep trouble
_TIMEOUT = 60
#: a txqueuelen that no allocation satisfies (KMALLOC_MAX_SIZE, linux/ptr_ring.h)
_ENDLESS_QUEUE = 0x7FFFFFFF
#: asks for links
_LINKS = wire.body(0, wire.nla_u32(wire.IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS))
#: a dump during which a link came or went is inconsistent and is taken again
_DUMP_TRIES = 50


#: what only pyroute2 does, in messages
_BRINGING_UP = "bringing up a lower device"

_Decoded = TypeVar("_Decoded")


class Reply(NamedTuple):
    """The kernel's answer to one request."""

    #: positive errno, 0 = done
    errno: int
    #: the kernel's own words, mostly empty
    text: str = ""


class Request(NamedTuple):
    kind: int
    flags: int
    body: bytes


class Netlink:
    """A rtnetlink socket of this process's network namespace."""

    def __init__(self) -> None:
        self._sequence = 0
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        for option in (_SO_RCVBUFFORCE, _SO_SNDBUFFORCE):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
            except PermissionError:
                # reading needs no privilege and the default buffer will do; writing is refused by the kernel anyway
                break
        self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._socket.settimeout(_TIMEOUT)
        self._socket.bind((0, 0))

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()

    def links(self) -> dict[int, Link]:
        """All links of this network namespace by ifindex, without statistics."""
        return {link.ifindex: link for link in self._dump_all(wire.decode_link)}

    def addresses(self) -> dict[int, tuple[str, ...]]:
        """Addresses of all links by ifindex, with their prefix lengths.

        Those that do not come and go by themselves, as from a router advertisement, and are not link-local.
        """
        found: dict[int, list[str]] = {}
        for index, address in filter(None, self._dump_all(wire.decode_address, _RTM_GETADDR)):
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
            body = wire.body(link.ifindex, payload, flags, change)
            requests.append(Request(_RTM_NEWLINK, _REQUEST | _ACK | _CREATE | _EXCL, body))
        return self._exchange(requests)

    def change(self, changes: Sequence[tuple[Link, tuple[str, ...]]]) -> list[Reply]:
        """Set the named attributes (see :data:`attributes.ATTRIBUTES`) of each link to the values it carries.

        RTM_NEWLINK: RTM_SETLINK with link info reports success and does nothing.
        """
        return self._exchange(
            [
                Request(_RTM_NEWLINK, _REQUEST | _ACK, wire.body(link.ifindex, *attributes.encode(link, names)))
                for link, names in changes
            ]
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
        queues = [(link, length) for link in links for length in (_ENDLESS_QUEUE, link.queue_length)]
        replies = self._set_queue_lengths(queues)
        pairs = list(zip(replies[::2], replies[1::2]))
        left = [link for link, (asked, reset) in zip(links, pairs) if not asked.errno and reset.errno]
        again = self._set_queue_lengths([(link, link.queue_length) for link in left])
        for link, reply in zip(left, again):
            if reply.errno not in (0, errno.ENODEV):
                raise HostError(
                    f"cannot set txqueuelen of {link.name} back to {link.queue_length}: {why(*reply)}; set it with ip"
                    " link",
                    reply.errno,
                )
        return [_is_open(asked.errno, reset.errno) for asked, reset in pairs]

    def _set_queue_lengths(self, lengths: Iterable[tuple[Link, int]]) -> list[Reply]:
        return self._exchange(
            [
                Request(_RTM_NEWLINK, _REQUEST | _ACK, wire.body(link.ifindex, wire.nla_u32(wire.IFLA_TXQLEN, length)))
                for link, length in lengths
            ]
        )

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
            replies = self._set_groups([(link.ifindex, group) for link in links])
            refused = next((reply for reply in replies if reply.errno not in (0, errno.ENODEV)), None)
            if refused is not None:
                raise HostError(f"the links could not be set apart for deletion: {why(*refused)}", refused.errno)
            members = self._members(group)
            strangers = members - {link.ifindex for link in links}
            if strangers:
                raise HostError(f"nothing was deleted: links {sorted(strangers)} were put among those to delete")
            if members:
                body = wire.body(0, wire.nla_u32(wire.IFLA_GROUP, group))
                reply = self._exchange([Request(_RTM_DELLINK, _REQUEST | _ACK, body)])[0]
                # ENODEV: another program deleted them a moment ago, or so the kernel says
                if reply.errno not in (0, errno.ENODEV) or (reply.errno and self._members(group)):
                    raise HostError(f"the kernel did not delete the links: {why(*reply)}", reply.errno)
        except HostError as exc:
            left = self._left_in_group(links)
            if left:
                exc.undone += (f"{UNDOING_MET}links {', '.join(left)} stay in link group {group}",)
            raise

    def _members(self, group: int) -> set[int]:
        return {index for index, other in self._dump_all(wire.decode_group) if other == group}

    def _left_in_group(self, links: Sequence[Link]) -> list[str]:
        """Give links back the group that they were in; returns the names of those that did not take it."""
        try:
            replies = self._set_groups([(link.ifindex, link.group) for link in links])
        except HostError:
            return [link.name for link in links]
        return [link.name for link, reply in zip(links, replies) if reply.errno not in (0, errno.ENODEV)]

    def _set_groups(self, groups: Iterable[tuple[int, int]]) -> list[Reply]:
        return self._exchange(
            [
                Request(_RTM_NEWLINK, _REQUEST | _ACK, wire.body(index, wire.nla_u32(wire.IFLA_GROUP, group)))
                for index, group in groups
            ]
        )

    def _dump_all(
        self, decode: Callable[[bytes, int, int], _Decoded], what: int = _RTM_GETLINK, body: bytes = _LINKS
    ) -> list[_Decoded]:
        """Every link (or what else is asked for), decoded, from a dump during which nothing changed."""
        for _try in range(_DUMP_TRIES):
            decoded = self._dump(decode, what, body)
            if decoded is not None:
                return decoded
        raise HostError(f"links appeared and disappeared: cannot get a consistent list in {_DUMP_TRIES} tries")

    def listed(self, what: int, body: bytes, decode: Callable[[bytes, int, int], _Decoded]) -> list[_Decoded]:
        """All that the kernel lists for a request, decoded.

        :raises HostError: when the kernel refuses.
        """
        return self._dump_all(decode, what, body)

    def exchange(self, requests: Iterable[tuple[int, bytes]], flags: int = 0) -> list[Reply]:
        """Send requests (type, body); one reply for each, in order.

        :arg flags: beside those that every request has.
        """
        return self._exchange([Request(what, _REQUEST | _ACK | flags, body) for what, body in requests])

    def _dump(self, decode: Callable[[bytes, int, int], _Decoded], what: int, body: bytes) -> list[_Decoded] | None:
        self._sequence += 1
        self._send(_HEADER.pack(16 + len(body), what, _REQUEST | _DUMP, self._sequence, 0) + body)
        decoded: list[_Decoded] = []
        consistent = True
        while True:
            data = self._receive()
            for kind, flags, sequence, start, end in messages(data):
                if sequence != self._sequence:
                    continue
                consistent = consistent and not flags & _DUMP_INTR
                if kind == _NLMSG_DONE:
                    return decoded if consistent else None
                if kind == _NLMSG_ERROR:
                    reply = reply_of(data, start, end, flags)
                    raise HostError(f"the kernel refused to list the links: {why(*reply)}", reply.errno)
                decoded.append(decode(data, start, end))

    def _exchange(self, requests: Sequence[Request]) -> list[Reply]:
        replies: list[Reply] = []
        for start in range(0, len(requests), _BATCH):
            replies += self._exchange_batch(requests[start : start + _BATCH])
        return replies

    def _exchange_batch(self, requests: Sequence[Request]) -> list[Reply]:
        first = self._sequence + 1
        self._sequence += len(requests)
        self._send(
            b"".join(
                _HEADER.pack(16 + len(request.body), request.kind, request.flags, first + number, 0) + request.body
                for number, request in enumerate(requests)
            )
        )
        replies: dict[int, Reply] = {}
        while len(replies) < len(requests):
            data = self._receive()
            for kind, flags, sequence, start, end in messages(data):
                if kind == _NLMSG_ERROR and sequence >= first:
                    replies[sequence] = reply_of(data, start, end, flags)
        return [replies[first + number] for number in range(len(requests))]

    def _send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except OSError as exc:
            raise HostError(f"the kernel did not take a netlink request: {exc.strerror}", exc.errno or 0) from exc

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(_CHUNK_BYTES)
        except socket.timeout as exc:
            raise HostError(f"the kernel did not answer a netlink request within {_TIMEOUT} s") from exc
        except OSError as exc:
            raise HostError(f"netlink answers were lost: {exc.strerror}", exc.errno or 0) from exc


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


def messages(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """(type, flags, sequence, start, end) of each netlink message in a datagram."""
    start = 0
    while start + 16 <= len(data):
        length, kind, flags, sequence, _port = _HEADER.unpack_from(data, start)
        if length < 16:
            return
        yield kind, flags, sequence, start + 16, start + length
        start += (length + 3) & ~3


def reply_of(data: bytes, start: int, end: int, flags: int) -> Reply:
    """The answer in an NLMSG_ERROR message, whose payload is ``data[start:end]``."""
    number = -struct.unpack_from("=i", data, start)[0]
    text = ""
    if number and flags & 0x200:  # NLM_F_ACK_TLVS
        # with NLM_F_CAPPED (0x100) only the header of the request is echoed
        echoed = 16 if flags & 0x100 else struct.unpack_from("=I", data, start + 4)[0]
        for kind, first, last in wire.attributes(data, start + 4 + ((echoed + 3) & ~3), end):
            if kind == _NLMSGERR_ATTR_MSG:
                text = data[first:last].rstrip(b"\0").decode("utf-8", "replace")
    return Reply(number, text)
