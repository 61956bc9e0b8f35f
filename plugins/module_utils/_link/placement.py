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
from .vlan import device_on


class Defaults(NamedTuple):
    """The options of a task that no NIC has too."""

    stable_index: bool = True
    mac_prefix: str = "02"
    #: whether NICs leave a lower device without a carrier, or that is not in the pool any more
    rebalance: bool = False


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

    def __init__(self, networks: Mapping[str, Network | None], host: Host, gone: set[int], defaults: Defaults) -> None:
        self._networks = networks
        self._host = host
        self._gone = gone
        self._load: dict[int, int] = {}
        self._pools: dict[str, list[Link]] = {}
        self._defaults = defaults
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
        settled = self._settle(nics, wanted, found, own)
        moving = own - {link.ifindex for link in settled if link is not None}
        ignored = self._gone | moving
        exclusive = {device.ifindex for mode, pool in wanted if mode == "passthrough" for device in pool}
        places = []
        for nic, (mode, pool), link, keeps in zip(nics, wanted, found, settled):
            device = self._choose(nic, mode, pool, ignored, link) if keeps is None else self._host.links[keeps.lower]
            if mode == "passthrough" or device.ifindex in exclusive or keeps is None:
                mine = ignored | ({link.ifindex} if link is not None else set())
                self._host.require_alone(device, mode, mine, label(nic))
            places.append(Place(nic, label(nic), mode, device, link))
        _require_alone_among(places)
        return places

    def _settle(
        self,
        nics: Sequence[Nic],
        wanted: Sequence[tuple[str, list[Link]]],
        found: Sequence[Link | None],
        own: set[int],
    ) -> list[Link | None]:
        """Each NIC's link where it may keep its lower device, else None."""
        given: set[int] = set()
        settled: list[Link | None] = []
        for nic, (mode, pool), link in zip(nics, wanted, found):
            keeps = link is not None and self._may_stay(nic, pool, link)
            if keeps and link is not None and mode == "passthrough":
                # one to a device: the first of ours, when no other link is there
                others = {other.ifindex for other in self._host.on_device(link.lower)} - own - self._gone
                keeps = link.lower not in given and (not others or len(pool) == 1)
                given.add(link.lower)
            settled.append(link if keeps else None)
        return settled

    def _may_stay(self, nic: Nic, pool: Sequence[Link], link: Link) -> bool:
        """Whether a link is on a device of the pool, or on one that may be, by another name, the one that is gone."""
        device = next((device for device in pool if device.ifindex == link.lower), None)
        if self._defaults.rebalance:
            return device is not None and device.has_carrier
        tag, vlan = self._host.tag(link), nic.settings.get("vlan")
        network = self._networks.get(nic.network) if nic.network is not None and nic.device is None else None
        if device is None and network is not None and tag is not None and tag.network == network.name:
            lower = self._host.links.get(link.lower)
            is_in_it = lower is not None and (lower.vlan == vlan if vlan else lower.ifindex not in self._host.own_vlans)
            return is_in_it and bool(self._host.gone(network))
        return device is not None

    def _mode_and_pool(self, nic: Nic) -> tuple[str, list[Link]]:
        """Mode, and the lower devices to choose from: those of its VLAN, where it is in one."""
        mode, pool = self._mode_and_parents(nic)
        vlan = nic.settings.get("vlan")
        return mode, pool if vlan is None else [device_on(device, vlan, self._host, label(nic)) for device in pool]

    def _mode_and_parents(self, nic: Nic) -> tuple[str, list[Link]]:
        if nic.device is not None:
            return nic.mode or "vepa", [self._host.lower_device(nic.device, label(nic))]
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
        if network.name not in self._pools:
            self._pools[network.name] = self._host.pool(network)
        return network.mode, self._pools[network.name]

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
        macs = {nic.mac} if nic.mac else set(identity.derived_macs(self._defaults.mac_prefix, *key(nic)))
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
        is_fitting = not self._defaults.stable_index or link.ifindex < identity.INDEX_BASE or link.ifindex in derived
        return link.mode == "passthrough" and link.group == MAKING_GROUP and is_fitting

    def _choose(self, nic: Nic, mode: str, pool: Sequence[Link], ignored: set[int], link: Link | None) -> Link:
        """One with a carrier, else one that is down and may have one; the least used; passthrough: one without links.

        Ties go in order. Where neither is left, a link that was to leave its device stays there.
        """
        for device in pool:
            if device.ifindex not in self._load:
                present = self._host.on_device(device.ifindex)
                self._load[device.ifindex] = sum(other.ifindex not in ignored for other in present)
        current = link.lower if link is not None else None
        free = [device for device in pool if mode != "passthrough" or not self._load[device.ifindex]]
        if not free and len(pool) > 1:
            raise self._exhausted(nic, pool)
        device = min(
            free or pool,
            key=lambda device: (_deadness(device), device.ifindex != current, self._load[device.ifindex]),
        )
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


def _deadness(device: Link) -> int:
    return 0 if device.has_carrier else 2 if device.is_up else 1


def _require_alone_among(places: Sequence[Place]) -> None:
    first: dict[int, Place] = {}
    for place in places:
        other = first.setdefault(place.device.ifindex, place)
        if other is not place and "passthrough" in (other.mode, place.mode):
            raise InvalidInput(
                f"{other.label} and {place.label} both request device {place.device.name}, but mode passthrough allows"
                " one guest per device; use another device"
            )
