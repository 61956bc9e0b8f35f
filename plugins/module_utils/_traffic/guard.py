# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What a guest may send, as plain data: the option ``guard``, checked and in one spelling. PURE."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from .._core.errors import InvalidInput
from .._core.model import VLANS, Guard
from .._core.names import shown

_KEYS: dict[str, dict[str, Any]] = {
    "mac": {"type": "bool", "default": True},
    "addresses": {"type": "list", "elements": "str"},
    "vlans": {"type": "list", "elements": "int", "default": []},
    "other_protocols": {"type": "bool", "default": True},
    "stp": {"type": "bool", "default": False},
    "dhcp_server": {"type": "bool", "default": False},
    "router_advertisements": {"type": "bool", "default": False},
    "broadcast_rate": {"type": "int"},
}
#: for AnsibleModule, wherever a guard is described
SPEC: dict[str, Any] = {"type": "dict", "options": _KEYS}
_RATES = range(1, 1_000_001)
#: hexadecimal digits by which an owner tag knows the guard of its link
_DIGITS = 8


def check(value: Any, where: str) -> None:
    """Check a guard as options, XML or a definition have it.

    :arg where: what to call it in messages.
    :raises InvalidInput: naming the key and the value.
    """
    parse(value, where)


def parse(value: Any, where: str = "guard") -> Guard:
    """The guard that an option asks for.

    :arg value: by key; None or absent = the default.
    :arg where: what to call it in messages.
    :raises InvalidInput: naming the key and the value.
    """
    if not isinstance(value, Mapping) or not set(value) <= set(_KEYS):
        raise InvalidInput(f"{where} {shown(value)} is not possible; it has the keys {', '.join(_KEYS)}")
    asked: dict[str, Any] = {
        key: kind.get("default") if value.get(key) is None else value[key] for key, kind in _KEYS.items()
    }
    for key, kind in _KEYS.items():
        if kind["type"] == "bool" and not isinstance(asked[key], bool):
            raise InvalidInput(f"{where}: {key} {shown(asked[key])} is not possible; it must be true or false")
        if kind["type"] == "list" and not isinstance(asked[key], (list, tuple, type(None))):
            raise InvalidInput(f"{where}: {key} {shown(asked[key])} is not possible; it must be a list")
    if asked["broadcast_rate"] is not None:
        _number(asked["broadcast_rate"], f"{where}: broadcast_rate", _RATES)
    asked["vlans"] = tuple(sorted({_number(vlan, f"{where}: vlan", VLANS) for vlan in asked["vlans"]}))
    if asked["addresses"] is not None:
        asked["addresses"] = collapsed(asked["addresses"], where)
    return Guard(**asked)


def as_row(guard: Guard | None) -> dict[str, Any] | None:
    """A guard as a result has it."""
    if guard is None:
        return None
    lists = {"addresses": None if guard.addresses is None else list(guard.addresses), "vlans": list(guard.vlans)}
    return {**guard._asdict(), **lists}


def text(guard: Guard | None) -> str | None:
    """A guard on one line, without what is the default: in actions and diffs, and in boot files."""
    if guard is None:
        return None
    return json.dumps({key: value for key, value in (as_row(guard) or {}).items() if value != _DEFAULT[key]})


def of_link(guard: Guard, mac: str) -> Guard:
    """The guard of a link with this MAC: its link-local address is allowed in any case, and so not listed."""
    if guard.addresses is None:
        return guard
    local = link_local(mac)
    merged = collapsed((*guard.addresses, local))
    return guard._replace(addresses=tuple(address for address in merged if address != local))


def digest(guard: Guard) -> str:
    """By what an owner tag knows the guard of its link."""
    return sha256(repr(tuple(guard)).encode()).hexdigest()[:_DIGITS]


_DEFAULT = as_row(Guard()) or {}


def link_local(mac: str) -> str:
    """The IPv6 address that is derived from a MAC (RFC 4291, appendix A)."""
    import ipaddress

    octets = bytes.fromhex(mac.replace(":", ""))
    identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(b"\xfe\x80" + bytes(6) + identifier))


def prefix_text(first: bytes, last: bytes) -> str:
    """A range of addresses that is one network, as the option has it.

    :arg first, last: the addresses, in network byte order.
    """
    import ipaddress

    ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
    return _text(next(iter(ipaddress.summarize_address_range(*ends))))


def collapsed(addresses: Iterable[str], where: str = "guard") -> tuple[str, ...]:
    """The smallest list of networks that means the same, IPv4 first.

    :arg where: as for :func:`parse`.
    :raises InvalidInput: naming what is neither an address nor a prefix.
    """
    import ipaddress

    both: dict[int, list[Any]] = {4: [], 6: []}
    for address in addresses:
        network = _network(address, where)
        both[network.version].append(network)
    return tuple(_text(network) for own in both.values() for network in ipaddress.collapse_addresses(own))


def _number(value: Any, what: str, allowed: range) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
        raise InvalidInput(f"{what} {shown(value)} is not possible; it must be {allowed[0]} to {allowed[-1]}")
    return value


def _network(text: Any, where: str) -> Any:
    # imported here: most tasks guard no address, and the import takes its time
    import ipaddress

    try:
        interface = ipaddress.ip_interface(text) if isinstance(text, str) and "%" not in text else None
    except ValueError:
        interface = None
    if interface is None:
        raise InvalidInput(
            f"{where}: {shown(text)} in addresses is not an IPv4 or IPv6 address or prefix; write for example"
            " 192.0.2.7, 192.0.2.0/28 or 2001:db8::/64"
        )
    if interface.ip != interface.network.network_address:
        raise InvalidInput(
            f"{where}: {shown(text)} in addresses has bits beyond its prefix length; write {interface.ip} for the one"
            f" address or {interface.network} for the prefix"
        )
    return interface.network


def _text(network: Any) -> str:
    return str(network.network_address if network.prefixlen == network.max_prefixlen else network)
