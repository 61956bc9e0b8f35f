# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The nftables table that guards links: what it has, what it must have, and the transaction between the two. PURE.

Each guarded link has a chain of its own at its egress hook. The chain knows the interface index: a chain outlives its
link (seen on Linux 6.18), hooks the next link of that name, and lets the frames of that one pass.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterable, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import NamedTuple

from .._core.model import Guard, Link
from . import rules
from .guard import collapsed, link_local, of_link, prefix_text

FAMILY, NAME = "netdev", "linuxnet_macvtap"
TABLE = f"{FAMILY} {NAME}"
#: of the table; another one is of another release, whose sets may have other types
COMMENT = "guards of linuxnet.macvtap, 1"
_LINK_CHAIN = "link_"
_U32 = struct.Struct("=I")

#: (set, value): the value as nft(8) has it, without the interface index
Entries = frozenset[tuple[str, str]]


class Element(NamedTuple):
    """An element of a set, as the kernel has it."""

    key: bytes
    #: of a set with intervals
    last: bytes = b""
    #: frames counted
    frames: int = 0
    #: frames a second that its limit lets pass
    rate: int = 0


class Chain(NamedTuple):
    """A chain: the links that it hooks, and the comments of its rules."""

    devices: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()


class Table(NamedTuple):
    """The table as it is."""

    comment: str = COMMENT
    sets: frozenset[str] = frozenset()
    chains: Mapping[str, Chain] = MappingProxyType({})
    #: by interface index
    entries: Mapping[int, Entries] = MappingProxyType({})
    #: by interface index and reason, frames
    dropped: Mapping[int, Mapping[str, int]] = MappingProxyType({})

    def is_intact(self) -> bool:
        """Whether the checks that all links share are as this release writes them."""
        # a boot knows the tags of links that it has not created yet
        expected = rules.chains(_vlans([frozenset((name, "") for name in self.sets)]))
        return self.comment == COMMENT and all(
            self.chains.get(name) == Chain((), _comments(texts)) for name, texts in expected.items()
        )

    def is_hooked(self, ifindex: int, name: str) -> bool:
        """Whether the frames of a link reach the checks."""
        return self.chains.get(_link_chain(ifindex)) == _hook(ifindex, name)

    def others_that_hook(self, link: Link) -> list[int]:
        """Interface indexes of other links whose chains hook a link, since it has the name that they had."""
        others = {name: chain for name, chain in self.chains.items() if name != _link_chain(link.ifindex)}
        numbers = [name.removeprefix(_LINK_CHAIN) for name, chain in others.items() if link.name in chain.devices]
        return sorted(int(number) for number in numbers if number.isdecimal())

    def guard(self, link: Link, is_intact: bool) -> Guard | None:
        """The guard that a link has; None = none, or one that is not whole.

        :arg is_intact: as :meth:`is_intact` says.
        """
        found = self.entries.get(link.ifindex)
        if not found or not is_intact or not self.is_hooked(link.ifindex, link.name):
            return None
        guard = _guard(found, link.mac)
        return guard if entries(guard, link.mac) == found else None


def decode(comment: str, sets: Mapping[str, Sequence[Element]], chains: Mapping[str, Chain]) -> Table:
    """The table of what the kernel lists."""
    found: dict[int, set[tuple[str, str]]] = {}
    dropped: dict[int, dict[str, int]] = {}
    # what has the index alone comes first: it tells the byte order that nft chose for the index in concatenations
    for name in sorted(sets, key=lambda name: name in rules.ALLOWED):
        for element in sets[name]:
            ifindex, value = _decoded(name, element, found)
            found.setdefault(ifindex, set()).add((name, value))
            if name in rules.REASONS:
                dropped.setdefault(ifindex, {})[name] = element.frames
    return Table(comment, frozenset(sets), chains, {index: frozenset(own) for index, own in found.items()}, dropped)


def entries(guard: Guard, mac: str) -> Entries:
    """What the sets have for a link with this guard and MAC."""
    allowed = {
        "mac": not guard.mac,
        "addresses": guard.addresses is None,
        "vlans": False,
        "broadcast_rate": guard.broadcast_rate is None,
        **{key: getattr(guard, key) for key in ("other_protocols", "stp", "dhcp_server", "router_advertisements")},
    }
    rate = "" if guard.broadcast_rate is None else str(guard.broadcast_rate)
    own = {(reason, rate if reason == "broadcast_rate" else "") for reason in rules.REASONS if not allowed[reason]}
    own.update((f"{rules.VLAN}{vlan}", "") for vlan in guard.vlans)
    if guard.mac:
        own.add(("macs", mac))
    if guard.addresses is not None:
        for address in collapsed((*guard.addresses, link_local(mac))):
            names = ("ipv6", "targets") if ":" in address else ("ipv4",)
            own.update((name, address) for name in names)
    return frozenset(own)


def transaction(found: Table | None, wanted: Mapping[int, Entries], names: Mapping[int, str]) -> str:
    """What makes the table so, for ``nft -f -``; "" = it is so.

    :arg found: None = there is none.
    :arg wanted: by interface index, of every link that is guarded.
    :arg names: the names of those of these links whose hooks are to be right; the others keep what they have.
    """
    if not wanted:
        return f"delete table {TABLE}\n" if found is not None else ""
    lines = []
    if found is not None and found.comment != COMMENT:
        lines, found = [f"delete table {TABLE}"], None
    if found is None:
        lines.append(f'add table {TABLE} {{ comment "{COMMENT}"; }}')
        found = Table()
    vlans = _vlans(wanted.values())
    needed, shared = rules.sets(vlans), rules.chains(vlans)
    lines += [f"add set {TABLE} {name} {{ {kind}; }}" for name, kind in needed.items() if name not in found.sets]
    lines += [f"add chain {TABLE} {name}" for name in shared if name not in found.chains]
    for name, texts in shared.items():
        if found.chains.get(name, Chain()) != Chain((), _comments(texts)):
            lines += [f"flush chain {TABLE} {name}"] if name in found.chains else []
            lines += _rules(name, texts)
    lines += _elements("delete", _difference(found.entries, wanted))
    lines += _elements("add", _difference(wanted, found.entries))
    for ifindex, name in names.items():
        if ifindex in wanted and not found.is_hooked(ifindex, name):
            is_there = _link_chain(ifindex) in found.chains
            lines += [f"delete chain {TABLE} {_link_chain(ifindex)}"] if is_there else []
            lines += hook(ifindex, name)
    kept = {*shared, *map(_link_chain, wanted)}
    gone = sorted(name for name in found.chains if name not in kept)
    lines += [
        f"delete chain {TABLE} {name}" for name in sorted(gone, key=lambda name: not name.startswith(_LINK_CHAIN))
    ]
    lines += [f"delete set {TABLE} {name}" for name in sorted(found.sets.difference(needed))]
    return "".join(line + "\n" for line in lines)


def boot_lines(links: Sequence[Link], vlans: Iterable[int]) -> list[str]:
    """What guards links at boot, line by line; a line that is about one link ends with ``#`` and its index.

    The lines may be carried out again, also when other links have guards.

    :arg vlans: tags that some link may send, also one of another lower device.
    """
    own = {link.ifindex: entries(link.guard, link.mac) for link in links if link.guard is not None}
    lines = [f'add table {TABLE} {{ comment "{COMMENT}"; }}']
    lines += [f"add set {TABLE} {name} {{ {kind}; }}" for name, kind in rules.sets(vlans).items()]
    shared = rules.chains(vlans)
    lines += [f"add chain {TABLE} {name}" for name in shared]
    for name, texts in shared.items():
        lines += [f"flush chain {TABLE} {name}", *_rules(name, texts)]
    for link in links:
        chain = f"chain {TABLE} {_link_chain(link.ifindex)}"
        about = [f"add {chain}", f"delete {chain}", *hook(link.ifindex, link.name)]
        for name, value in sorted(own[link.ifindex]):
            about += _elements("add", {name: [(link.ifindex, value)]})
        lines += [f"{line} # {link.ifindex}" for line in about]
    return lines


def hook(ifindex: int, name: str) -> list[str]:
    """The lines that send the frames of a link to the checks."""
    chain = _link_chain(ifindex)
    kind = f'type filter hook egress device "{name}" priority 0; policy accept;'
    return [f"add chain {TABLE} {chain} {{ {kind} }}", *_rules(chain, _link_rules(ifindex))]


def change(found: Table | None, links: Iterable[Link], present: Container[int]) -> str:
    """The transaction that gives links their guards; "" = they have them.

    :arg links: as they are to be; None as its guard takes one from a link.
    :arg present: interface indexes; what the table has for others, and is not of ``links``, goes.
    """
    asked = {link.ifindex: link for link in links}
    kept = {index: own for index, own in (found.entries if found else {}).items() if index in present}
    guarded = {index: entries(link.guard, link.mac) for index, link in asked.items() if link.guard is not None}
    wanted = {**{index: own for index, own in kept.items() if index not in asked}, **guarded}
    return transaction(found, wanted, {index: asked[index].name for index in guarded})


def required() -> str:
    """A transaction that succeeds where nft and the kernel know all that a guard needs; for ``nft -c -f -``."""
    guard = Guard(addresses=(), vlans=(1,), broadcast_rate=1)
    return change(None, [Link(1, "lo", mac="02:00:00:00:00:01", guard=guard)], ())


def _hook(ifindex: int, name: str) -> Chain:
    return Chain((name,), _comments(_link_rules(ifindex)))


def _link_rules(ifindex: int) -> list[str]:
    return [f"oif {ifindex} jump guard"]


def _link_chain(ifindex: int) -> str:
    return f"{_LINK_CHAIN}{ifindex}"


def _rules(chain: str, texts: Sequence[str]) -> list[str]:
    pairs = zip(texts, _comments(texts))
    return [f'add rule {TABLE} {chain} {text} comment "{comment}"' for text, comment in pairs]


def _comments(texts: Sequence[str]) -> tuple[str, ...]:
    """A rule is known by its comment: nft lists rules in other words than it takes them."""
    return tuple(sha256(text.encode()).hexdigest()[:8] for text in texts)


def _vlans(all_entries: Iterable[Entries]) -> list[int]:
    names = {name for own in all_entries for name, _value in own if name.startswith(rules.VLAN)}
    return sorted(int(number) for number in (name.removeprefix(rules.VLAN) for name in names) if number.isdecimal())


def _difference(of: Mapping[int, Entries], other: Mapping[int, Entries]) -> dict[str, list[tuple[int, str]]]:
    """By set, what ``of`` has and ``other`` has not."""
    more: dict[str, list[tuple[int, str]]] = {}
    for ifindex, own in of.items():
        for name, value in own.difference(other.get(ifindex, ())):
            more.setdefault(name, []).append((ifindex, value))
    return more


def _elements(verb: str, elements: Mapping[str, Sequence[tuple[int, str]]]) -> list[str]:
    return [
        f"{verb} element {TABLE} {name} {{ {', '.join(_text(verb, name, *each) for each in sorted(own))} }}"
        for name, own in sorted(elements.items())
    ]


def _text(verb: str, name: str, ifindex: int, value: str) -> str:
    if name == "broadcast_rate" and verb == "add":
        return f"{ifindex} limit rate over {value}/second burst {value} packets counter"
    if name in ("ipv4", "ipv6"):
        # without a length nft 1.0.6 does not find an element to delete: it takes it for one of a set without intervals
        value = value if "/" in value else f"{value}/{128 if ':' in value else 32}"
    if name == "targets":
        value = _hexadecimal(value)
    return f"{ifindex} . {value}" if name in rules.ALLOWED else str(ifindex)


def _hexadecimal(network: str) -> str:
    import ipaddress

    first, last = (int(ipaddress.ip_network(network)[place]) for place in (0, -1))
    return f"{first:#034x}-{last:#034x}"


def _decoded(name: str, element: Element, known: Container[int]) -> tuple[int, str]:
    """Interface index and value of an element.

    :arg known: interface indexes that the other sets have.
    """
    ifindex, value = _U32.unpack_from(element.key)[0], element.key[4:]
    if name not in rules.ALLOWED:
        return ifindex, str(element.rate) if name == "broadcast_rate" else ""
    if ifindex not in known:
        ifindex = int.from_bytes(element.key[:4], "big")
    if name == "macs":
        return ifindex, value[:6].hex(":")
    return ifindex, prefix_text(value, element.last[4:] or value)


def _guard(found: Entries, mac: str) -> Guard:
    """The guard that such entries are of, if they are whole."""
    names = {name for name, _value in found}
    addresses = [value for name, value in found if name in ("ipv4", "ipv6")]
    rates = [int(value) for name, value in found if name == "broadcast_rate"]
    return of_link(
        Guard(
            mac="mac" in names,
            addresses=collapsed(addresses) if "addresses" in names else None,
            vlans=tuple(_vlans([found])),
            broadcast_rate=rates[0] if rates else None,
            **{key: key not in names for key in ("other_protocols", "stp", "dhcp_server", "router_advertisements")},
        ),
        mac,
    )
