# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""From NICs as asked for to attachments with everything decided: device, MAC, name, ifindex. PURE."""

from __future__ import annotations

from itertools import count, islice
from typing import Iterator, Mapping, NamedTuple, Sequence

from ansible_collections.linuxnet.macvtap.plugins.module_utils import _identity
from ansible_collections.linuxnet.macvtap.plugins.module_utils._errors import InvalidInput, Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._host import Host
from ansible_collections.linuxnet.macvtap.plugins.module_utils._model import (
    IFF_ALLMULTI,
    IFF_NOARP,
    IFF_PROMISC,
    IFF_UP,
    Attachment,
    Link,
    Mark,
    Network,
    Nic,
    NodePolicy,
)

#: derived ifindexes under which a link without a mark is recognised as one of a run that was killed
_ADOPTION_CANDIDATES = 16
#: smallest MTU of a macvtap (ETH_MIN_MTU, linux/if_ether.h)
_MIN_MTU = 68


class Wishes(NamedTuple):
    """The options that hold for every NIC of a task."""

    link_state: str = "up"
    isolate_host: bool = True
    stable_index: bool = True
    mac_prefix: str = "02"


class _Place(NamedTuple):
    """Where a NIC goes: decided before MACs, names and ifindexes."""

    nic: Nic
    label: str
    mode: str
    device: Link
    found: Link | None


def number_nics(nics: Sequence[Nic], guest: str | None, required: bool = True) -> list[Nic]:
    """Every NIC with its guest and its position, which together are its name.

    :arg guest: for NICs that name none.
    :arg required: whether a NIC must have a guest; without one it keeps no position.
    :raises InvalidInput: no guest, or the same position, MAC or name twice.
    """
    seen: dict[str, int] = {}
    numbered = []
    for nic in nics:
        owner = nic.guest if nic.guest is not None else guest
        if owner is None and not required:
            numbered.append(nic)
            continue
        if owner is None:
            raise InvalidInput("%s names no guest, and there is no guest option to name it" % (nic.origin or "a NIC"))
        position = seen.get(owner, 0)
        seen[owner] = position + 1
        numbered.append(nic._replace(guest=owner, nic=position if nic.nic is None else nic.nic))
    _require_unique(numbered, lambda nic: nic.guest and (nic.guest, nic.nic), "guest %s has two NICs number %d")
    _require_unique(numbered, lambda nic: nic.mac and (nic.mac,), "MAC %s is asked for twice")
    _require_unique(numbered, lambda nic: nic.ifname and (nic.ifname,), "ifname %s is asked for twice")
    return numbered


def _require_unique(nics, key, message) -> None:
    first: dict[object, Nic] = {}
    for nic in nics:
        value = key(nic)
        other = first.setdefault(value, nic) if value else nic
        if other is not nic:
            raise InvalidInput("%s: in %s and %s; give each its own" % (message % value, label(other), label(nic)))


def label(nic: Nic) -> str:
    """A NIC, for messages."""
    name = "guest %s nic %s" % (nic.guest, nic.nic)
    return "%s (%s)" % (name, nic.origin) if nic.origin else name


def resolve(
    nics: Sequence[Nic],
    networks: Mapping[str, Network],
    host: Host,
    wishes: Wishes,
    policy: NodePolicy,
    leaving: Sequence[Link] = (),
) -> list[Attachment]:
    """Decide device, MAC, name and ifindex of every NIC.

    :arg nics: from :func:`number_nics`.
    :arg networks: definitions by name, at least those the NICs name.
    :arg leaving: links that the same task removes: they do not count and their MACs and names are free.
    :returns: in the order of ``nics``; what exists already keeps its device, MAC, name and ifindex where it may.
    :raises InvalidInput, Refused: before anything is changed, naming the NIC and the way out.
    """
    gone = {link.ifindex for link in leaving}
    places = _Placement(networks, host, gone, wishes.mac_prefix).place_all(nics)
    claimed = {place.found.ifindex for place in places if place.found is not None}
    others = [link for link in host.links.values() if link.ifindex not in claimed and link.ifindex not in gone]
    macs = _choose_macs(places, host, others, wishes.mac_prefix)
    names = _choose_names(places, others)
    indexes = _choose_indexes(places, host, wishes.stable_index, policy)
    return [
        _attachment(place, mac, name, index, wishes) for place, mac, name, index in zip(places, macs, names, indexes)
    ]


class _Placement:
    """Chooses the lower device of each NIC, counting what is really attached to each device."""

    def __init__(self, networks: Mapping[str, Network], host: Host, gone: set[int], prefix: str) -> None:
        self._networks = networks
        self._host = host
        self._gone = gone
        self._load: dict[int, int] = {}
        self._checked: dict[tuple[str, str], Link] = {}
        self._prefix = prefix
        self._unmarked = {
            link.ifindex: link
            for link in host.macvtaps
            if host.mark(link) is None and link.ifindex not in gone and link.lower_netnsid is None
        }

    def place_all(self, nics: Sequence[Nic]) -> list[_Place]:
        wanted = [self._mode_and_pool(nic) for nic in nics]
        found = [self._existing(nic, pool) for nic, (_mode, pool) in zip(nics, wanted)]
        own = {link.ifindex for link in found if link is not None}
        # what stays where it is counts first, so that newcomers fill up around it
        settled = [
            link if link is not None and any(device.ifindex == link.lower for device in pool) else None
            for link, (_mode, pool) in zip(found, wanted)
        ]
        moving = own - {link.ifindex for link in settled if link is not None}
        ignored = self._gone | moving
        exclusive = {device.ifindex for mode, pool in wanted if mode == "passthrough" for device in pool}
        places = []
        for nic, (mode, pool), link, keeps in zip(nics, wanted, found, settled):
            device = self._keep(pool, keeps) if keeps is not None else self._choose(nic, mode, pool, ignored)
            if mode == "passthrough" or device.ifindex in exclusive or keeps is None:
                mine = ignored | ({link.ifindex} if link is not None else set())
                self._host.require_alone(device, mode, mine, label(nic))
            places.append(_Place(nic, label(nic), mode, device, link))
        _require_alone_among(places)
        return places

    def _mode_and_pool(self, nic: Nic) -> tuple[str, list[Link]]:
        if nic.device is not None:
            return nic.mode or "vepa", [self._lower(nic.device, label(nic))]
        if nic.network is None:
            raise InvalidInput("%s names neither a network nor a device; give it one of them" % label(nic))
        network = self._networks.get(nic.network)
        if network is None:
            raise InvalidInput(
                "%s: network %r is not defined here (defined: %s); define it with macvtap_network first"
                % (label(nic), nic.network, ", ".join(map(repr, sorted(self._networks))) or "none")
            )
        if not network.devices:
            raise InvalidInput("%s: network %r has no lower device; give it one" % (label(nic), network.name))
        wanted_by = "network %r" % network.name
        return network.mode, [self._lower(device, wanted_by) for device in network.devices]

    def _lower(self, name: str, wanted_by: str) -> Link:
        key = (name, wanted_by)
        if key not in self._checked:
            self._checked[key] = self._host.lower_device(name, wanted_by)
        return self._checked[key]

    def _existing(self, nic: Nic, pool: Sequence[Link]) -> Link | None:
        """The NIC's link: the one with its mark, or one that a killed run had no time to mark."""
        owned = self._host.owned.get((nic.guest, nic.nic))
        if owned is not None and owned.link.ifindex not in self._gone:
            return owned.link
        if not self._unmarked:
            return None
        candidates = [
            self._unmarked.get(index)
            for index in islice(_identity.derived_indexes(nic.guest, nic.nic), _ADOPTION_CANDIDATES)
        ]
        named = self._host.by_name.get(nic.ifname) if nic.ifname else None
        candidates.append(self._unmarked.get(named.ifindex) if named is not None else None)
        lowers = {device.ifindex for device in pool}
        macs = {nic.mac} if nic.mac else set(_identity.derived_macs(self._prefix, nic.guest, nic.nic))
        for link in candidates:
            # a killed run had no time to set the MAC of a passthrough link: it still has the lower device's
            if link is not None and link.lower in lowers and (link.mac in macs or link.mode == "passthrough"):
                return link
        return None

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
            users.append("%s by %s" % (device.name, names))
        return Refused(
            "%s: all %d devices of network %r are taken (mode passthrough: one guest each): %s;"
            " add a device or detach a guest" % (label(nic), len(pool), nic.network, "; ".join(users))
        )


def _require_alone_among(places: Sequence[_Place]) -> None:
    first: dict[int, _Place] = {}
    for place in places:
        other = first.setdefault(place.device.ifindex, place)
        if other is not place and "passthrough" in (other.mode, place.mode):
            raise InvalidInput(
                "%s and %s both want device %s, which mode passthrough gives to one guest alone; use another device"
                % (other.label, place.label, place.device.name)
            )


def _choose_macs(places: Sequence[_Place], host: Host, others: Sequence[Link], prefix: str) -> list[str]:
    taken = {(link.lower, link.mac): link for link in others if link.kind in ("macvtap", "macvlan")}
    used = {mac for _lower, mac in taken}
    used.update(place.nic.mac for place in places if place.nic.mac)
    macs = []
    for place in places:
        mac = place.nic.mac or _derived_mac(place, prefix, used)
        used.add(mac)
        other = taken.get((place.device.ifindex, mac))
        if other is not None:
            raise Refused(
                "%s: MAC %s is already on %s, where %s has it; choose another MAC, or remove that link"
                " (state absent with mac selects it)" % (place.label, mac, place.device.name, host.describe(other))
            )
        if mac == place.device.mac and place.mode != "passthrough" and not _lends_its_mac(place):
            raise InvalidInput(
                "%s: MAC %s is that of the lower device %s itself; choose another" % (place.label, mac, place.device.name)
            )
        macs.append(mac)
    return macs


def _lends_its_mac(place: _Place) -> bool:
    """True while the NIC is attached in mode passthrough: the device carries the guest's MAC for that time only."""
    found = place.found
    return found is not None and found.mode == "passthrough" and found.lower == place.device.ifindex


def _derived_mac(place: _Place, prefix: str, used: set[str]) -> str:
    candidates = list(islice(_identity.derived_macs(prefix, place.nic.guest, place.nic.nic), 1))
    current = place.found.mac if place.found is not None else None
    if current == candidates[0] or (current is None and candidates[0] not in used):
        return candidates[0]
    candidates = list(_identity.derived_macs(prefix, place.nic.guest, place.nic.nic))
    if current in candidates and current not in used:
        return current
    for mac in candidates:
        if mac not in used:
            return mac
    raise Refused(
        "%s: no MAC with prefix %s is left among %d tried; give a mac or a shorter mac_prefix"
        % (place.label, prefix, len(candidates))
    )


def _choose_names(places: Sequence[_Place], others: Sequence[Link]) -> list[str]:
    taken = {link.name: link for link in others}
    for place in places:
        holder = taken.get(place.nic.ifname) if place.nic.ifname else None
        if holder is not None:
            raise Refused(
                "%s: the name %s is taken by another link (%s, ifindex %d); choose another ifname or leave it out"
                % (place.label, holder.name, holder.kind or "no macvtap", holder.ifindex)
            )
    names = [place.nic.ifname or (place.found.name if place.found is not None else None) for place in places]
    used = set(taken).union(name for name in names if name)
    free = (name for name in map("macvtap%d".__mod__, count()) if name not in used)
    return [name or next(free) for name in names]


def _choose_indexes(places: Sequence[_Place], host: Host, stable: bool, policy: NodePolicy) -> list[int]:
    used = set(host.links)
    highest = max(used, default=0) if not stable else 0
    indexes = []
    for place in places:
        if place.found is not None:
            indexes.append(place.found.ifindex)
            continue
        candidates: Iterator[int] = (
            _identity.derived_indexes(place.nic.guest, place.nic.nic) if stable else count(highest + 1)
        )
        index = next(index for index in candidates if index not in used and _path_is_free(index, host, place, policy))
        used.add(index)
        indexes.append(index)
    return indexes


def _path_is_free(index: int, host: Host, place: _Place, policy: NodePolicy) -> bool:
    """Whether tapN may become this NIC's node: another namespace's tap is stepped around, a stray file is refused."""
    node = host.foreign_nodes.get(index)
    if node is None or node.is_stale:
        return True
    if node.kind == "character device":
        return False
    raise Refused(
        "%s: a %s lies at %s, where its tap node belongs; remove it (a shell's 3<>%s makes such a file when the tap is"
        " missing)" % (place.label, node.kind, policy.path(index), policy.path(index))
    )


def _attachment(place: _Place, mac: str, name: str, index: int, wishes: Wishes) -> Attachment:
    nic, device = place.nic, place.device
    if nic.mtu is not None and not _MIN_MTU <= nic.mtu <= device.mtu:
        raise InvalidInput(
            "%s: mtu %d is not possible on %s: it must be %d to %d, the MTU of the lower device; raise that first"
            % (place.label, nic.mtu, device.name, _MIN_MTU, device.mtu)
        )
    up = (nic.link_state or wishes.link_state) == "up"
    flags = (
        (IFF_UP if up else 0)
        | (IFF_NOARP if wishes.isolate_host else 0)
        | (IFF_ALLMULTI if nic.allmulticast else 0)
        | (IFF_PROMISC if nic.promiscuous else 0)
    )
    link = Link(
        ifindex=index,
        name=name,
        kind="macvtap",
        mode=place.mode,
        lower=device.ifindex,
        mac=mac,
        mtu=nic.mtu or device.mtu,
        flags=flags,
        alias=_identity.mark_text(Mark(nic.guest, nic.nic, nic.network, nic.queues)),
        ipv6_disabled=wishes.isolate_host,
    )
    return Attachment(nic.guest, nic.nic, nic.network, device.name, nic.queues, link, place.found, nic.origin)
