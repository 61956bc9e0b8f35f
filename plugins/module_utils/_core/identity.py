# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Who a link belongs to: the owner tag in its alias, and the MAC and ifindex derived from guest and nic. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import sha256
from itertools import count, islice
from urllib.parse import quote, unquote

from .errors import InvalidInput
from .model import MAKING_GROUP, Link, OwnerTag

_PREFIX = "linuxnet.macvtap"
#: the alias of each VLAN device of ours
VLAN_MARK = _PREFIX + " vlan"
#: in the alias of each link that was given a guard
GUARDED = " guard="
#: in the alias of each link for which something was set on its virtual function
OF_FUNCTION = " vf="
#: IFALIASZ is 256 with the final NUL (linux/if.h)
_ALIAS_BYTES = 255
_MARK = re.compile(
    r"linuxnet\.macvtap guest=(\S+) nic=(\d{1,9})(?: network=(\S+))?(?: queues=(\d{1,4}))?"
    r"((?: [a-z_]+=[a-z0-9]+)*)"
)
_HOST_MARK = re.compile(r"linuxnet\.macvtap host network=(\S+)")
#: left readable in the alias; everything else, blanks and '=' among them, is percent-encoded
_READABLE = "!$&'()*+,-./:;@[]^_`{|}~"

#: derived ifindexes: 2^30 … 2^31-1, far from those the kernel counts up from 1
INDEX_BASE = 1 << 30

#: how many derived ifindexes tell whose a link is that has lost its owner tag
_LIKELY_INDEXES = 16

#: how many derived MACs of one NIC are tried; a found one among them is kept
MAC_CANDIDATES = 64


def tag_text(tag: OwnerTag) -> str:
    """The alias for a link, at most 255 bytes (IFALIASZ); of ``requested`` it has what fits.

    :raises InvalidInput: when guest and network name together are too long for it.
    """
    words = [_PREFIX, "guest=" + quote(tag.guest, safe=_READABLE), f"nic={tag.nic}"]
    if tag.network is not None:
        words.append("network=" + quote(tag.network, safe=_READABLE))
    if tag.queues != 1:
        words.append(f"queues={tag.queues}")
    if tag.guard:
        words.append(GUARDED.strip() + tag.guard)
    if tag.vf:
        words.append(OF_FUNCTION.strip() + tag.vf)
    text = " ".join(words)
    if len(text) > _ALIAS_BYTES:
        raise InvalidInput(
            "guest name %r%s is too long: the owner tag in the link's alias would take %d of %d bytes; use a"
            " shorter name"
            % (tag.guest, f" with network name {tag.network!r}" if tag.network else "", len(text), _ALIAS_BYTES)
        )
    for name, value in tag.requested:
        word = f" {name}={value}"
        text += word if len(text) + len(word) <= _ALIAS_BYTES else ""
    return text


def read_tag(alias: str) -> OwnerTag | None:
    """The owner tag in an alias, or None when the link is not ours."""
    match = _MARK.fullmatch(alias) if alias.startswith(_PREFIX) else None
    if match is None:
        return None
    guest, nic, network, queues, words = match.groups()
    said = [tuple(word.split("=")) for word in words.split()]
    guard, function = (dict(said).get(name, "") for name in ("guard", "vf"))
    requested = tuple((name, value) for name, value in said if name not in ("guard", "vf"))
    name = unquote(network) if network else None
    return OwnerTag(unquote(guest), int(nic), name, int(queues or 1), requested, guard, function)


def host_tag_text(network: str) -> str:
    """The alias of the host link of a network.

    :raises InvalidInput: when the name of the network is too long for it.
    """
    text = f"{_PREFIX} host network={quote(network, safe=_READABLE)}"
    if len(text) > _ALIAS_BYTES:
        raise InvalidInput(
            f"the name of network {network!r} is too long for a host link: the owner tag in its alias would take"
            f" {len(text)} of {_ALIAS_BYTES} bytes; use a shorter name"
        )
    return text


def read_host_tag(alias: str) -> str | None:
    """The network whose host link has this alias, None for any other link."""
    match = _HOST_MARK.fullmatch(alias) if alias.startswith(_PREFIX) else None
    return None if match is None else unquote(match[1])


def is_own_vlan(link: Link) -> bool:
    """Whether a link is a VLAN device of ours, or one that a killed run had no time to mark."""
    return link.vlan is not None and (link.alias == VLAN_MARK or (link.group, link.alias) == (MAKING_GROUP, ""))


def vlan_names(parent: str, vlan: int) -> Iterator[str]:
    """Names for the VLAN device on a link: the common one, and one for where that is too long."""
    yield f"{parent}.{vlan}"
    yield f"mvv-{vlan}-{sha256(parent.encode('utf-8', 'surrogateescape')).hexdigest()[:6]}"


def vlan_indexes(parent: str, vlan: int) -> Iterator[int]:
    """ifindexes for the VLAN device on a link, best first."""
    # no guest has such a name
    return derived_indexes(f"\0vlan of {parent}", vlan)


def derived_macs(prefix: str, guest: str, nic: int) -> Iterator[str]:
    """MACs for a NIC that has none: ``prefix`` and a hash of guest and nic; the next one where it is taken.

    :arg prefix: 1 to 5 octets, lower case, colon-separated.
    """
    missing = 6 - len(prefix.split(":"))
    for attempt in range(MAC_CANDIDATES):
        digest = _digest(guest, nic, attempt)
        yield ":".join([prefix] + [f"{octet:02x}" for octet in digest[:missing]])


def derived_indexes(guest: str, nic: int) -> Iterator[int]:
    """ifindexes for a NIC, best first: the same on every run, after a re-create and after a reboot."""
    first = int.from_bytes(_digest(guest, nic, 0)[8:12], "big") % INDEX_BASE
    for attempt in count():
        yield INDEX_BASE + (first + attempt) % INDEX_BASE


def likely_indexes(guest: str, nic: int) -> list[int]:
    """The derived ifindexes that a NIC's link has, unless very many of them were taken."""
    return list(islice(derived_indexes(guest, nic), _LIKELY_INDEXES))


def _digest(guest: str, nic: int, attempt: int) -> bytes:
    return sha256((f"{guest}\0{nic}\0{attempt}").encode("utf-8", "surrogateescape")).digest()
