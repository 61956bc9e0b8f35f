# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""A netlink socket: requests out, in batches, and an errno back for each; dumps, taken again until they are whole."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Callable, NamedTuple, TypeVar

from .._core.errors import HostError
from .._core.explain import why
from .._link import message as wire

# linux/netlink.h
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _ACK, _DUMP, _DUMP_INTR = 0x1, 0x4, 0x300, 0x10
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_NLMSGERR_ATTR_MSG = 1
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32

_HEADER = struct.Struct("=IHHII")

#: messages in one send. The kernel queues one acknowledgement each before we can read the first; 3000 overran the
#: receive buffer, and a lost acknowledgement is waited for in vain.
_BATCH = 500
_BUFFER_BYTES = 8 << 20
_CHUNK_BYTES = 1 << 18
#: seconds; the kernel answers within milliseconds unless the machine is in deep trouble
_TIMEOUT = 60
#: a dump during which a link came or went is inconsistent and is taken again
_DUMP_TRIES = 50

_Decoded = TypeVar("_Decoded")
_Self = TypeVar("_Self", bound="RouteSocket")


class Reply(NamedTuple):
    """The kernel's answer to one request."""

    #: positive errno, 0 = done
    errno: int
    #: the kernel's own words, mostly empty
    text: str = ""


class RouteSocket:
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

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()

    def listed(self, what: int, body: bytes, decode: Callable[[bytes, int, int], _Decoded]) -> list[_Decoded]:
        """All that the kernel lists for a request (its type and body), decoded, while nothing changed.

        :raises HostError: when the kernel refuses.
        """
        for _try in range(_DUMP_TRIES):
            decoded = self._dump(what, body, decode)
            if decoded is not None:
                return decoded
        raise HostError(f"links appeared and disappeared: cannot get a consistent list in {_DUMP_TRIES} tries")

    def exchange(self, requests: Sequence[tuple[int, bytes]], flags: int = 0) -> list[Reply]:
        """Send requests (type, body); one reply for each, in order. The others are done although one fails.

        :arg flags: beside those that every request has.
        """
        replies: list[Reply] = []
        for start in range(0, len(requests), _BATCH):
            replies += self._exchange_batch(requests[start : start + _BATCH], _REQUEST | _ACK | flags)
        return replies

    def _dump(self, what: int, body: bytes, decode: Callable[[bytes, int, int], _Decoded]) -> list[_Decoded] | None:
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

    def _exchange_batch(self, requests: Sequence[tuple[int, bytes]], flags: int) -> list[Reply]:
        first = self._sequence + 1
        self._sequence += len(requests)
        self._send(
            b"".join(
                _HEADER.pack(16 + len(body), what, flags, first + number, 0) + body
                for number, (what, body) in enumerate(requests)
            )
        )
        replies: dict[int, Reply] = {}
        while len(replies) < len(requests):
            data = self._receive()
            for kind, replied, sequence, start, end in messages(data):
                if kind == _NLMSG_ERROR and sequence >= first:
                    replies[sequence] = reply_of(data, start, end, replied)
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
