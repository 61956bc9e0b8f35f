# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Host links as the next boot makes them: from results to batch files for ip, and back. PURE."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .._core import names
from .._core.errors import InvalidInput, Refused
from .._core.identity import host_tag_text, read_host_tag
from .._core.model import Vlan, placed
from .._link.host_link import checked_addresses
from .entry import lower_device, own_vlan, plain

_ADD = re.compile(r"link add link (\S+) name (\S+) address (\S+) type macvlan mode bridge")
_ALIAS = re.compile(r'link set dev (\S+) alias "([^"]*)"')
_ADDRESS = re.compile(r"address add dev (\S+) (\S+)")
_UP = re.compile(r"link set dev (\S+) up")


class HostEntry(NamedTuple):
    """The host link of one network."""

    network: str
    ifname: str
    mac: str
    #: name of the lower device
    device: str
    addresses: tuple[str, ...]
    #: as of :class:`_boot.entry.Entry`
    vlan: Vlan | None = None

    def row(self) -> dict[str, Any]:
        """As results have it."""
        return {**self._asdict(), **placed(self.device, self.vlan), "addresses": list(self.addresses)}


def host_entry(network: str, row: Mapping[str, Any]) -> HostEntry:
    """The entry of a host link as results of macvtap_network have it.

    :raises InvalidInput: what no such result has, or what cannot be written into the files.
    """
    names.check_network_name(network)
    try:
        return HostEntry(
            network,
            plain(names.check_ifname(row["ifname"], "link"), "link"),
            names.check_mac(row["mac"]),
            lower_device(row["device"], "lower device"),
            checked_addresses(row["addresses"]),
            own_vlan(row),
        )
    except KeyError as exc:
        raise InvalidInput(
            f"networks: the host_link of network {network!r} has no {exc.args[0]}; pass the network as macvtap_network"
            " returns it, or its name"
        ) from exc


def merged(
    found: Iterable[HostEntry], wanted: Sequence[HostEntry], exact: Collection[str]
) -> tuple[list[HostEntry], list[HostEntry]]:
    """The entries that the files are to hold, and those of ``found`` that leave.

    :arg exact: names of the networks of which no other entry stays.
    """
    leaving = [entry for entry in found if entry.network in exact and entry.network not in {e.network for e in wanted}]
    kept = [entry for entry in found if entry.network not in exact]
    return sorted([*kept, *wanted]), leaving


def text(entries: Iterable[HostEntry]) -> str:
    """The batch file of one lower device; its last lines for a link may fail, so that they come after all others."""
    lines = []
    for entry in entries:
        lines.append(f"link add link {entry.device} name {entry.ifname} address {entry.mac} type macvlan mode bridge")
        lines.append(f'link set dev {entry.ifname} alias "{host_tag_text(entry.network)}"')
        lines.append(f"link set dev {entry.ifname} up")
        lines += [f"address add dev {entry.ifname} {address}" for address in entry.addresses]
    return "".join(line + "\n" for line in lines)


def read(lines: Iterable[tuple[str, str]], vlans: Mapping[str, Vlan]) -> list[HostEntry]:
    """The entries in the lines of such files.

    :arg lines: each with its place, for messages.
    :arg vlans: the VLAN devices in the files, by name.
    :raises Refused: naming a line that we cannot have written.
    """
    facts: dict[str, dict[str, Any]] = {}
    for line, place in lines:
        added, alias, address = (pattern.fullmatch(line) for pattern in (_ADD, _ALIAS, _ADDRESS))
        if added is not None:
            facts[added[2]] = {"device": added[1], "mac": added[3], "addresses": []}
        elif alias is not None and alias[1] in facts:
            facts[alias[1]]["network"] = read_host_tag(alias[2])
        elif address is not None and address[1] in facts:
            facts[address[1]]["addresses"].append(address[2])
        elif not _UP.fullmatch(line):
            raise Refused(
                f"{place} is not as this collection writes it: {line[:200]!r}; put it right, or remove the file and"
                " persist the network again"
            )
    return sorted(
        HostEntry(
            each["network"], name, each["mac"], each["device"], tuple(each["addresses"]), vlans.get(each["device"])
        )
        for name, each in facts.items()
        # a file cut off in the middle: the next run that names the network rewrites it
        if each.get("network") is not None
    )
