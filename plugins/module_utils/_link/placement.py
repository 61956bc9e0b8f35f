# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Which lower device each NIC goes to, and which existing link is the NIC's. PURE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from .._core import identity
from .._core.errors import InvalidInput, Refused
from .._core.model import MAKING_GROUP, Link, Network, Nic
from .._core.names import similar
from .host import Host


class Place(NamedTuple):
    """Where a NIC goes: decided before MACs, names and ifindexes."""

    nic: Nic
    label: str
    mode: str
    device: Link
    found: Link | None


def label(nic: Nic) -> str:
    """A NIC, for messages."""
    name = f"guest {nic.guest} nic {nic.nic}"
    return f"{name} ({nic.origin})" if nic.origin else name


def key(nic: Nic) -> tuple[str, int]:
    """Guest and position, which a NIC has from :func:`_link.resolve.number_nics` on."""
    return cast("tuple[str, int]", (nic.guest, nic.nic))


class Placement:
    """Chooses the lower device of each NIC, counting what is really attached to each device."""

    def __init__(
        self, networks: Mapping[str, Network | None], host: Host, gone: set[int], prefix: str, stable_index: bool
    ) -> None:
        self._networks = networks
        self._host = host
        self._gone = gone
        self._load: dict[int, int] = {}
        self._checked: dict[tuple[str, str], Link] = {}
        self._prefix = prefix
        self._stable_index = stable_index
        self._untagged = {
            link.ifindex: link
            for link in host.macvtaps
            if host.tag(link) is None and link.ifindex not in gone and link.lower_netnsid is None
        }
        #: ifindexes of links without an owner tag that a NIC was given: no second NIC gets them
        self._adopted: set[int] = set()
        self._in_the_making = [link for link in self._untagged.values() if link.group == MAKING_GROUP]

    def place_all(self, nics: Sequence[Nic]) -> list[Place]:
        """A place for every NIC, in order.

        :raises InvalidInput, Refused: naming the NIC, what is in the way and the way out.
        """
        wanted = [self._mode_and_pool(nic) for nic in nics]
        found = [self._existing(nic, pool) for nic, (_mode, pool) in zip(nics, wanted)]
        own = {link.ifindex for link in found if link is not None}
        # what stays where it is counts first, so that newcomers fill up around it
        settled = self._settle(wanted, found, own)
        moving = own - {link.ifindex for link in settled if link is not None}
        ignored = self._gone | moving
        exclusive = {device.ifindex for mode, pool in wanted if mode == "passthrough" for device in pool}
        places = []
        for nic, (mode, pool), link, keeps in zip(nics, wanted, found, settled):
            device = self._keep(pool, keeps) if keeps is not None else self._choose(nic, mode, pool, ignored)
            if mode == "passthrough" or device.ifindex in exclusive or keeps is None:
                mine = ignored | ({link.ifindex} if link is not None else set())
                self._host.require_alone(device, mode, mine, label(nic))
            places.append(Place(nic, label(nic), mode, device, link))
        _require_alone_among(places)
        return places

    def _settle(
        self, wanted: Sequence[tuple[str, list[Link]]], found: Sequence[Link | None], own: set[int]
    ) -> list[Link | None]:
        """Each NIC's link where it may keep its lower device, else None."""
        given: set[int] = set()
        settled: list[Link | None] = []
        for (mode, pool), link in zip(wanted, found):
            keeps = link is not None and any(device.ifindex == link.lower for device in pool)
            if keeps and link is not None and mode == "passthrough":
                # one to a device: the first of ours, when no other link is there
                others = {other.ifindex for other in self._host.on_device(link.lower)} - own - self._gone
                keeps = link.lower not in given and (not others or len(pool) == 1)
                given.add(link.lower)
            settled.append(link if keeps else None)
        return settled

    def _mode_and_pool(self, nic: Nic) -> tuple[str, list[Link]]:
        if nic.device is not None:
            return nic.mode or "vepa", [self._lower(nic.device, label(nic))]
        if nic.network is None:
            raise InvalidInput(f"{label(nic)} names neither a network nor a device; set one of them")
        network = self._networks.get(nic.network)
        if network is None:
            meant = ", ".join(map(repr, similar(nic.network, self._networks)))
            raise InvalidInput(
                "%s: network %r is not defined here (defined: %s); %sdefine it with macvtap_network first, or, in check"
                " mode, pass that task's network in networks"
                % (
                    label(nic),
                    nic.network,
                    ", ".join(map(repr, sorted(self._networks))) or "none",
                    f"write {meant} if you mean that, or " if meant else "",
                )
            )
        if not network.devices:
            raise InvalidInput(
                f"{label(nic)}: network {network.name!r} does not have a lower device; name at least one"
            )
        wanted_by = f"network {network.name!r}"
        pool = {self._lower(device, wanted_by).ifindex: self._lower(device, wanted_by) for device in network.devices}
        return network.mode, list(pool.values())

    def _lower(self, name: str, wanted_by: str) -> Link:
        key = (name, wanted_by)
        if key not in self._checked:
            self._checked[key] = self._host.lower_device(name, wanted_by)
        return self._checked[key]

    def _existing(self, nic: Nic, pool: Sequence[Link]) -> Link | None:
        """The NIC's link: the one with its owner tag, or one that a killed run had no time to tag."""
        self._require_one_tag(nic)
        owned = self._host.owned.get(key(nic))
        if owned is not None and owned.link.ifindex not in self._gone:
            return owned.link
        if not self._untagged:
            return None
        candidates = [self._untagged.get(index) for index in identity.likely_indexes(*key(nic))]
        named = self._host.by_name.get(nic.ifname) if nic.ifname else None
        candidates.append(self._untagged.get(named.ifindex) if named is not None else None)
        candidates += self._in_the_making
        lowers = {device.ifindex for device in pool}
        macs = {nic.mac} if nic.mac else set(identity.derived_macs(self._prefix, *key(nic)))
        for link in candidates:
            if link is None or link.lower not in lowers or link.ifindex in self._adopted:
                continue
            if link.mac in macs or self._awaits_its_mac(link, nic):
                self._adopted.add(link.ifindex)
                return link
        return None

    def _require_one_tag(self, nic: Nic) -> None:
        duplicates = self._host.duplicates.get(key(nic))
        if duplicates:
            raise Refused(
                "%s: %s carry its owner tag, and no ifindex identifies its link; clear the alias of the others: ip"
                " link set dev NAME alias ''" % (label(nic), " and ".join(link.name for link in duplicates))
            )

    def _awaits_its_mac(self, link: Link, nic: Nic) -> bool:
        """A killed run had no time to set the MAC of a passthrough link: it still has the lower device's.

        Whose it is, its ifindex tells, unless that was not derived: then any NIC's that goes there.
        """
        derived = identity.likely_indexes(*key(nic))
        is_fitting = not self._stable_index or link.ifindex < identity.INDEX_BASE or link.ifindex in derived
        return link.mode == "passthrough" and link.group == MAKING_GROUP and is_fitting

    def _keep(self, pool: Sequence[Link], link: Link) -> Link:
        return next(device for device in pool if device.ifindex == link.lower)

    def _choose(self, nic: Nic, mode: str, pool: Sequence[Link], ignored: set[int]) -> Link:
        """Least used first, ties in order; passthrough: the first with nothing on it."""
        for device in pool:
            if device.ifindex not in self._load:
                present = self._host.on_device(device.ifindex)
                self._load[device.ifindex] = sum(link.ifindex not in ignored for link in present)
        if mode == "passthrough":
            device = next((device for device in pool if not self._load[device.ifindex]), pool[0])
            if self._load[device.ifindex] and len(pool) > 1:
                raise self._exhausted(nic, pool)
        else:
            device = min(pool, key=lambda device: self._load[device.ifindex])
        self._load[device.ifindex] += 1
        return device

    def _exhausted(self, nic: Nic, pool: Sequence[Link]) -> Refused:
        users = []
        for device in pool:
            present = self._host.on_device(device.ifindex)
            names = ", ".join(self._host.describe(link) for link in present) or "another NIC of this task"
            users.append(f"{device.name} by {names}")
        return Refused(
            f"{label(nic)}: all {len(pool)} devices of network {nic.network!r} are taken (mode passthrough: one"
            f" guest each): {'; '.join(users)};"
            " add a device or detach a guest"
        )


def _require_alone_among(places: Sequence[Place]) -> None:
    first: dict[int, Place] = {}
    for place in places:
        other = first.setdefault(place.device.ifindex, place)
        if other is not place and "passthrough" in (other.mode, place.mode):
            raise InvalidInput(
                f"{other.label} and {place.label} both request device {place.device.name}, but mode passthrough allows"
                " one guest per device; use another device"
            )
