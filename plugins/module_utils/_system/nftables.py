# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The nftables table of :mod:`_traffic.table`: read from the kernel, written by nft(8) in one transaction.

It is read over netlink, since nft lists neither the devices of a chain (``nft -j`` of nftables 1.0.6) nor interface
indexes, but the names that they have at the moment, and takes its time for a thousand guests.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .._core.errors import HostError
from .._core.explain import why
from .._link import message as wire
from .._traffic import table
from . import command, netlink

_NETLINK_NETFILTER, _SUBSYSTEM, _FAMILY = 12, 10 << 8, 5
_GETTABLE, _GETCHAIN, _GETRULE, _GETSET, _GETSETELEM = 1, 4, 7, 10, 13
_REQUEST, _ACK, _DUMP, _DUMP_INTR, _DONE, _ERROR = 0x1, 0x4, 0x300, 0x10, 3, 2
_HEADER = struct.Struct("=IHHII")
_U64 = struct.Struct(">Q")
_TRIES = 50
_PATIENCE = 60
#: NFTA_* (linux/netfilter/nf_tables.h)
_TABLE_NAME, _TABLE_USERDATA = 1, 6
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _HOOK_DEVICE, _HOOK_DEVICES = 1, 3, 4, 3, 4
_RULE_TABLE, _RULE_CHAIN, _RULE_USERDATA = 1, 2, 7
_SET_TABLE, _SET_NAME = 1, 2
_ELEMENTS_TABLE, _ELEMENTS_SET, _ELEMENTS = 1, 2, 3
_KEY, _EXPRESSION, _KEY_END, _EXPRESSIONS, _VALUE, _LIST_ITEM = 1, 7, 10, 11, 1, 1
_EXPRESSION_NAME, _EXPRESSION_DATA, _COUNTER_PACKETS, _LIMIT_RATE = 1, 2, 2, 1
#: type of a comment in the user data of a table and of a rule (libnftnl/udata.h)
_COMMENT = 0


class _Found(NamedTuple):
    kind: int
    attributes: dict[int, bytes]


class _Changed(Exception):
    """The tables changed while they were listed."""


def look() -> table.Table | None:
    """The table as it is, None = there is none.

    :raises HostError: the kernel does not list it.
    """
    try:
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
    except OSError as exc:
        if exc.errno == errno.EPROTONOSUPPORT:
            return None
        raise
    with sock:
        sock.settimeout(_PATIENCE)
        sock.bind((0, 0))
        for _try in range(_TRIES):
            try:
                return _table(sock)
            except _Changed:
                pass
            except socket.timeout as exc:
                raise HostError(f"the kernel did not list nftables within {_PATIENCE} s") from exc
    raise HostError(f"nftables change all the time: cannot get a consistent list in {_TRIES} tries")


def may_be_there() -> bool:
    """False where the table cannot be, found out without loading nf_tables."""
    if not os.path.exists("/proc/modules"):
        return True
    with open("/proc/modules", encoding="ascii", errors="replace") as modules:
        return any(line.startswith("nf_tables ") for line in modules)


def require() -> None:
    """Find out, without changing anything, whether nft and the kernel know what a guard needs.

    :raises HostError: they do not.
    """
    done = command.run(["nft", "-c", "-f", "-"], data=table.required())
    if done.status:
        error = HostError(
            "guard requires nft (package nftables, 1.0.6 or later) and Linux 5.16 or later with nf_tables and its"
            f" egress hook, but a trial with nft failed: {_reason(done)}; install what is missing, or remove guard"
        )
        error.missing = ("nft",) if done.status == command.NOT_FOUND else ()
        raise error


def apply(transaction: str) -> None:
    """Carry out a transaction: all of it, or nothing.

    :raises HostError: with what nft says.
    """
    done = command.run(["nft", "-f", "-"], data=transaction)
    if done.status:
        raise HostError(f"nft did not set the guards: {_reason(done)}; nothing of them was changed")


def _reason(done: command.Done) -> str:
    """The first sentence of nft's message, without the place in its input."""
    first = (done.errors or done.output).strip().splitlines() or [f"it ended with status {done.status}"]
    return first[0].partition("Error: ")[2] or first[0]


def _table(sock: socket.socket) -> table.Table | None:
    own = wire.nla(_TABLE_NAME, table.NAME.encode() + b"\0")
    present = _list(sock, _GETTABLE, own, dump=False)
    if not present:
        return None
    comments: dict[str, list[str]] = {}
    for found in _list(sock, _GETRULE, wire.nla(_RULE_TABLE, table.NAME.encode() + b"\0")):
        if _text(found, _RULE_TABLE) == table.NAME:
            comments.setdefault(_text(found, _RULE_CHAIN), []).append(_comment(found, _RULE_USERDATA))
    chains = {}
    for found in _list(sock, _GETCHAIN, b""):
        if _text(found, _CHAIN_TABLE) == table.NAME:
            name = _text(found, _CHAIN_NAME)
            chains[name] = table.Chain(_devices(found), tuple(comments.get(name, ())))
    sets = {}
    for found in _list(sock, _GETSET, wire.nla(_SET_TABLE, table.NAME.encode() + b"\0")):
        name = _text(found, _SET_NAME)
        # sets without a name of their own are parts of rules
        if _text(found, _SET_TABLE) == table.NAME and not name.startswith("__"):
            sets[name] = list(_elements(sock, name))
    return table.decode(_comment(present[0], _TABLE_USERDATA), sets, chains)


def _elements(sock: socket.socket, name: str) -> Iterator[table.Element]:
    which = wire.nla(_ELEMENTS_TABLE, table.NAME.encode() + b"\0") + wire.nla(_ELEMENTS_SET, name.encode() + b"\0")
    for found in _list(sock, _GETSETELEM, which):
        for element in _items(found.attributes.get(_ELEMENTS, b"")):
            fields = _fields(element)
            expressions = dict(_expressions(fields))
            yield table.Element(
                _fields(fields[_KEY])[_VALUE],
                _fields(fields[_KEY_END])[_VALUE] if _KEY_END in fields else b"",
                _number(expressions.get("counter", {}), _COUNTER_PACKETS),
                _number(expressions.get("limit", {}), _LIMIT_RATE),
            )


def _expressions(fields: Mapping[int, bytes]) -> Iterator[tuple[str, dict[int, bytes]]]:
    single = [fields[_EXPRESSION]] if _EXPRESSION in fields else []
    for expression in [*single, *_items(fields.get(_EXPRESSIONS, b""))]:
        parts = _fields(expression)
        yield parts[_EXPRESSION_NAME].rstrip(b"\0").decode(), _fields(parts.get(_EXPRESSION_DATA, b""))


def _devices(found: _Found) -> tuple[str, ...]:
    hook = _fields(found.attributes.get(_CHAIN_HOOK, b""))
    names = (
        _items(hook[_HOOK_DEVICES]) if _HOOK_DEVICES in hook else [hook[_HOOK_DEVICE]] if _HOOK_DEVICE in hook else []
    )
    return tuple(name.rstrip(b"\0").decode("utf-8", "surrogateescape") for name in names)


def _comment(found: _Found, where: int) -> str:
    data = found.attributes.get(where, b"")
    while len(data) >= 2:
        kind, length = data[0], data[1]
        if kind == _COMMENT:
            return data[2 : 2 + length].rstrip(b"\0").decode("utf-8", "replace")
        data = data[2 + length :]
    return ""


def _text(found: _Found, what: int) -> str:
    return found.attributes.get(what, b"").rstrip(b"\0").decode("utf-8", "surrogateescape")


def _number(fields: Mapping[int, bytes], what: int) -> int:
    return _U64.unpack(fields[what])[0] if what in fields else 0


def _fields(data: bytes) -> dict[int, bytes]:
    return {kind: data[start:end] for kind, start, end in wire.attributes(data, 0, len(data))}


def _items(data: bytes) -> list[bytes]:
    return [data[start:end] for _kind, start, end in wire.attributes(data, 0, len(data))]


def _list(sock: socket.socket, what: int, attributes: bytes, dump: bool = True) -> list[_Found]:
    """What the kernel lists; nothing when the table is not, or no longer, there."""
    body = struct.pack(">BBH", _FAMILY, 0, 0) + attributes
    flags = _REQUEST | (_DUMP if dump else _ACK)
    sequence = what
    sock.send(_HEADER.pack(16 + len(body), _SUBSYSTEM | what, flags, sequence, 0) + body)
    found: list[_Found] = []
    changed = False
    while True:
        data = sock.recv(1 << 18)
        for kind, message_flags, _sequence, start, end in netlink.messages(data):
            changed = changed or bool(message_flags & _DUMP_INTR)
            if kind == _DONE:
                if changed:
                    raise _Changed
                return found
            if kind == _ERROR:
                reply = netlink.reply_of(data, start, end, message_flags)
                if reply.errno in (0, errno.ENOENT):
                    return found
                raise HostError(f"the kernel refused to list nftables: {why(*reply)}", reply.errno)
            found.append(_Found(kind, _fields(data[start + 4 : end])))
