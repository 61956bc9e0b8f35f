# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Creates, changes and deletes host links: macvlans with addresses. Few on a host, so this goes through pyroute2."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator, Sequence
from typing import Any

from .._core.errors import HostError, RaceLost
from .._core.explain import why
from .._core.model import Link
from . import rtnetlink

#: the kernel has no IPv6, or none on this link
_NO_IPV6 = (errno.EACCES, errno.EPERM, errno.EOPNOTSUPP, errno.EAFNOSUPPORT)


def require_library() -> None:
    """Find out before the first change whether host links can be changed.

    :raises MissingLibrary: they cannot.
    """
    rtnetlink.import_pyroute2("changing a host link")


def create(link: Link, addresses: Sequence[str]) -> None:
    """Create the link, tag it, give it its addresses and, where it is to be up, bring it up.

    :raises RaceLost: the name was taken, or the lower device vanished, a moment ago.
    :raises HostError: naming what the kernel refused; what was created stays.
    """
    with _route("create", link) as route:
        facts = {"ifname": link.name, "kind": "macvlan", "macvlan_mode": "bridge"}
        route.link("add", link=link.lower, address=link.mac, **facts)
        # the kernel ignores an alias given at creation
        index = socket.if_nametoindex(link.name)
        route.link("set", index=index, ifalias=link.alias)
        _change_addresses(route, link, index, (), addresses)
        if link.is_up:
            route.link("set", index=index, state="up")


def delete(link: Link) -> None:
    """Delete the link; one that is gone is no error."""
    with _route("delete", link) as route, contextlib.suppress(RaceLost), _refusals("delete", link):
        route.link("del", index=link.ifindex)


def delete_by_name(link: Link, found: Link | None) -> None:
    """Delete what :func:`create` created, as far as it came.

    :arg found: the link that has the name now.
    """
    if found is not None and (found.kind, found.lower, found.mac) == ("macvlan", link.lower, link.mac):
        delete(found)


def change(old: Link, new: Link, before: Sequence[str], after: Sequence[str]) -> None:
    """Set mode, MAC, owner tag, addresses and state; what is the same is left alone.

    :raises HostError: naming what the kernel refused.
    """
    index = old.ifindex
    with _route("change", old) as route:
        if old.mode != new.mode:
            route.link("set", index=index, kind="macvlan", macvlan_mode=new.mode)
        if old.mac != new.mac:
            route.link("set", index=index, address=new.mac)
        if old.alias != new.alias:
            route.link("set", index=index, ifalias=new.alias)
        _change_addresses(route, old, index, before, after)
        if old.is_up != new.is_up:
            route.link("set", index=index, state="up" if new.is_up else "down")


def _change_addresses(route: Any, link: Link, index: int, before: Sequence[str], after: Sequence[str]) -> None:
    gone = [address for address in before if address not in after]
    for address in gone:
        _address(route, "del", link, index, address)
    # with the first address of an IPv4 subnet the kernel may remove the others in it
    for address in after if gone else [address for address in after if address not in before]:
        _address(route, "add", link, index, address)


def _address(route: Any, verb: str, link: Link, index: int, address: str) -> None:
    pyroute2 = rtnetlink.import_pyroute2("changing a host link")
    ip, length = address.split("/")
    try:
        route.addr(verb, index=index, address=ip, prefixlen=int(length))
    except pyroute2.NetlinkError as exc:
        if (verb, exc.code) in (("add", errno.EEXIST), ("del", errno.EADDRNOTAVAIL)):
            return
        cause = "IPv6 is disabled on it or on this host" if ":" in ip and exc.code in _NO_IPV6 else why(exc.code)
        raise HostError(f"cannot {verb} address {address} of host link {link.name}: {cause}", exc.code) from exc


@contextlib.contextmanager
def _route(verb: str, link: Link) -> Iterator[Any]:
    pyroute2 = rtnetlink.import_pyroute2("changing a host link")
    with pyroute2.IPRoute() as route, _refusals(verb, link):
        yield route


@contextlib.contextmanager
def _refusals(verb: str, link: Link) -> Iterator[None]:
    pyroute2 = rtnetlink.import_pyroute2("changing a host link")
    try:
        yield
    except (pyroute2.NetlinkError, OSError) as exc:
        number = getattr(exc, "code", None) or getattr(exc, "errno", None) or errno.EIO
        kind = RaceLost if number in (errno.EEXIST, errno.ENODEV) else HostError
        raise kind(f"cannot {verb} host link {link.name}: {why(number)}", number) from exc
