# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What is on the host, indexed for the questions the planner asks. PURE: built from a dump, never looks by itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from .._core.errors import InvalidInput, Refused
from .._core.identity import is_own_vlan, likely_indexes, read_host_tag, read_tag
from .._core.model import IFF_LOOPBACK, Link, Network, Node, OwnerTag, VirtualFunction, Vlan
from .._core.names import permanent_mac_in
from .._traffic.table import Table

#: kinds of master that take every frame of their port, so that no macvtap can sit on it (rx_handler)
_PORT_MASTERS = {"bridge": "bridge", "bond": "bond", "team": "team device", "openvswitch": "Open vSwitch"}
#: kinds that no handler of frames can be put on (IFF_NO_RX_HANDLER), and that make their parent such a device
_IPVLANS = ("ipvlan", "ipvtap")
#: kinds that share a lower device with macvtaps
_SIBLINGS = ("macvtap", "macvlan")
#: kinds that may take over the permanent MAC of the device below (eth_hw_addr_inherit)
_INHERITING = (*_SIBLINGS, "vlan", "ipvlan")
_ARPHRD_ETHER = 1


class Owned(NamedTuple):
    """A link that carries our owner tag."""

    link: Link
    tag: OwnerTag


class Host:
    """Links by name, by owner and by lower device; and what lies at tap paths that are no link's of ours."""

    def __init__(
        self,
        links: dict[int, Link],
        foreign_nodes: dict[int, Node] | None = None,
        addresses: Mapping[int, tuple[str, ...]] = MappingProxyType({}),
        physical_functions: Mapping[int, int] = MappingProxyType({}),
        guards: Table | None = None,
        virtual_functions: Mapping[int, VirtualFunction] = MappingProxyType({}),
    ) -> None:
        self.links = links
        #: of host links and VLAN devices of ours, by ifindex: those that do not come and go by themselves, with their
        #: prefix lengths
        self.addresses = addresses
        #: ifindex of each SR-IOV virtual function → that of its physical function
        self.physical_functions = physical_functions
        #: ifindex of each SR-IOV virtual function → what its physical function does for it
        self.virtual_functions = virtual_functions
        #: the nftables table of ours; None = there is none, or no link is marked as guarded
        self.guards = guards
        #: by network
        self.host_links: dict[str, Link] = {}
        #: what lies at tapN for N that is no ifindex of this namespace
        self.foreign_nodes = foreign_nodes or {}
        #: by name and by alternative name: the kernel has them in one table
        self.by_name: dict[str, Link] = {}
        self.macvtaps: list[Link] = []
        self.owned: dict[tuple[str, int], Owned] = {}
        #: links with the same owner tag of which no ifindex tells whose owner tag it is
        self.duplicates: dict[tuple[str, int], list[Link]] = {}
        self._tags: dict[int, OwnerTag] = {}
        self._on: dict[int, list[Link]] = {}
        self._ipvlans: dict[int, Link] = {}
        #: by lower device and tag
        self._vlans: dict[tuple[int, int], Link] = {}
        #: the VLAN devices of ours, by ifindex, as they are
        self.own_vlans: dict[int, Link] = {}
        #: those of ours that a decision asked for, by ifindex, as they are to be; ``links`` has them so too
        self.wanted_vlans: dict[int, Link] = {}
        for link in links.values():
            self.by_name[link.name] = link
            if link.kind in _IPVLANS and link.lower_netnsid is None:
                self._ipvlans[link.lower] = link
            if link.vlan is not None and link.lower_netnsid is None:
                self._vlans[link.lower, link.vlan] = link
                if is_own_vlan(link):
                    self.own_vlans[link.ifindex] = link
            if link.altnames:
                self.by_name.update(dict.fromkeys(link.altnames, link))
            if link.kind in _SIBLINGS and link.lower_netnsid is None:
                self._on.setdefault(link.lower, []).append(link)
            if link.is_macvtap:
                self.macvtaps.append(link)
                tag = read_tag(link.alias)
                if tag is not None:
                    self._tags[link.ifindex] = tag
                    self._claim(Owned(link, tag))
            elif link.alias and link.kind == "macvlan":
                network = read_host_tag(link.alias)
                if network is not None:
                    self.host_links.setdefault(network, link)

    def _claim(self, owned: Owned) -> None:
        """Of links with the same owner tag (somebody copied an alias) the one with the likeliest ifindex is it."""
        key = (owned.tag.guest, owned.tag.nic)
        other = self.owned.setdefault(key, owned)
        if other is owned:
            return
        likely = likely_indexes(*key)
        ranks = [likely.index(each.link.ifindex) if each.link.ifindex in likely else None for each in (other, owned)]
        if ranks == [None, None]:
            self.duplicates.setdefault(key, [other.link]).append(owned.link)
        elif ranks[0] is None or (ranks[1] is not None and ranks[1] < ranks[0]):
            self.owned[key] = owned
            self.duplicates.pop(key, None)

    def without(self, indexes: Collection[int]) -> Host:
        """The host as it is without these links, and without the VLAN devices of ours that only they were on."""
        left = {index: link for index, link in self.links.items() if index not in indexes}
        lowers = {self.links[index].lower for index in indexes if index in self.links}
        for vlan in self.unused_vlans(left):
            if vlan.ifindex in lowers:
                del left[vlan.ifindex]
        functions = self.virtual_functions
        return Host(left, self.foreign_nodes, self.addresses, self.physical_functions, virtual_functions=functions)

    def tag(self, link: Link) -> OwnerTag | None:
        """Our owner tag on a macvtap, None when another program created it."""
        return self._tags.get(link.ifindex)

    def tagged(self) -> Iterable[Owned]:
        """Every link that carries our owner tag (two may carry the same one)."""
        return (Owned(link, self._tags[link.ifindex]) for link in self.macvtaps if link.ifindex in self._tags)

    def is_host_link(self, link: Link) -> bool:
        """Whether a link is the host link of a network."""
        return link.kind == "macvlan" and read_host_tag(link.alias) is not None

    def on_device(self, ifindex: int) -> list[Link]:
        """The macvtaps and macvlans on a lower device, of any creator."""
        return self._on.get(ifindex, [])

    def device_name(self, link: Link) -> str:
        """Name of the lower device of a link; its ifindex where it is in another namespace."""
        lower = self.links.get(link.lower)
        return lower.name if lower is not None and link.lower_netnsid is None else f"#{link.lower}"

    def segment(self, link: Link) -> Link | None:
        """What carries the frames of a link on, as far as that can be seen here: the lower device, or its bridge.

        The other end of a veth pair may be a port of a bridge in this namespace.
        """
        lower = self.links.get(link.lower) if link.lower_netnsid is None else None
        if lower is None or lower.kind != "veth" or lower.lower_netnsid is not None:
            return lower
        end = self.links.get(lower.lower)
        bridge = self.links.get(end.master) if end is not None else None
        return bridge if bridge is not None and bridge.kind == "bridge" else lower

    def describe(self, link: Link) -> str:
        """A link and its owner, for messages."""
        tag = self.tag(link)
        if tag is not None:
            return f"{link.name} (guest {tag.guest} nic {tag.nic})"
        if self.is_host_link(link):
            return f"{link.name} (host link of network {read_host_tag(link.alias)})"
        return f"{link.name} ({link.kind or 'link'}, no owner tag)"

    def in_the_way(self, index: int) -> str | None:
        """What keeps a new link from this index or from its path, for messages; None = nothing but a stale node."""
        if index in self.links:
            return f"{self.describe(self.links[index])} has the interface index"
        node = self.foreign_nodes.get(index)
        if node is None or node.is_stale:
            return None
        if node.tap is None:
            return f"a {node.kind} lies at {node.path}, device {node.major}:{node.minor}"
        return (
            f"{node.path} is device {node.major}:{node.minor}, the tap of a link in another network namespace ('lsns"
            " --type=net' lists them)"
        )

    def vlan_device(self, ifindex: int, vlan: int) -> Link | None:
        """The VLAN device with this tag on a lower device, of any creator, or to be created."""
        return self._vlans.get((ifindex, vlan))

    def want_vlan(self, link: Link) -> None:
        """Count with a VLAN device of ours as it is to be."""
        self.wanted_vlans[link.ifindex] = self.links[link.ifindex] = self.by_name[link.name] = link
        self._vlans[link.lower, link.vlan or 0] = link

    def forget_vlan(self, link: Link) -> None:
        """Count no longer with a VLAN device that is not created after all."""
        del self.wanted_vlans[link.ifindex], self.links[link.ifindex], self.by_name[link.name]
        del self._vlans[link.lower, link.vlan or 0]

    def unused_vlans(self, links: Mapping[int, Link], more: Collection[int] = ()) -> list[Link]:
        """The VLAN devices of ours that have no address, and are no port, and on which none of ``links`` is.

        :arg more: indexes of lower devices that other links will be on.
        """
        used = {link.lower for link in links.values() if link.lower_netnsid is None}.union(more)
        idle = [link for link in self.own_vlans.values() if link.ifindex not in used]
        return [link for link in idle if not link.master and not self.addresses.get(link.ifindex)]

    def stands_on(self, link: Link) -> list[int]:
        """Indexes of the lower device of a link and, where that is a VLAN device, of what it is on."""
        lower = self.links.get(link.lower) if link.lower_netnsid is None else None
        return [] if lower is None else [lower.ifindex] if lower.vlan is None else [lower.ifindex, lower.lower]

    def vlan_of(self, link: Link) -> Vlan | None:
        """The VLAN that a link on a VLAN device is in."""
        lower = self.links.get(link.lower) if link.lower_netnsid is None else None
        if lower is None or lower.vlan is None:
            return None
        return Vlan(lower.vlan, self.device_name(lower) if is_own_vlan(lower) else None)

    def to_bring_up(self, ifindexes: Iterable[int]) -> list[Link]:
        """What is down of these lower devices, after what is down below VLAN devices among them.

        Those of ours are brought up where they are created or changed.
        """
        lowers = [self.links[index] for index in ifindexes]
        below = [link.lower for link in lowers if link.vlan is not None and link.lower_netnsid is None]
        rest = [link.ifindex for link in lowers if link.ifindex not in self.wanted_vlans]
        return [self.links[index] for index in dict.fromkeys([*below, *rest]) if not self.links[index].is_up]

    def device(self, given: str) -> Link | None:
        """The link with this name, alternative name or permanent MAC (:func:`_core.names.check_device`), if any.

        :raises InvalidInput: several have the MAC, as a NIC and its accelerating virtual function in some clouds.
        """
        mac = permanent_mac_in(given)
        if mac is None:
            return self.by_name.get(given)
        found = self.with_permanent_mac(mac)
        if len(found) > 1:
            meant = " and ".join(link.name for link in found)
            raise InvalidInput(f"{given} is the permanent MAC of {meant}; name the one that is meant")
        return found[0] if found else None

    def with_permanent_mac(self, mac: str) -> list[Link]:
        """The devices with this permanent MAC."""
        return [link for link in self.links.values() if link.permanent_mac == mac and link.kind not in _INHERITING]

    def current_name(self, given: str) -> str:
        """The name of that link now; ``given`` where there is no such link."""
        link = self.device(given)
        return given if link is None else link.name

    def lower_device(self, name: str, wanted_by: str) -> Link:
        """The lower device of that name, checked for everything that keeps macvtaps off it.

        :arg name: as :meth:`device` takes it.
        :arg wanted_by: who wants it, for the message.
        :raises InvalidInput: naming the device, what is in the way and the way out.
        """
        link = self.device(name)
        if link is None:
            raise InvalidInput(
                "%s: lower device %r does not exist on this host; usable devices: %s"
                % (wanted_by, name, ", ".join(sorted(self._candidates(permanent_mac_in(name) is not None))) or "none")
            )
        obstacle = self.obstacle(link)
        if obstacle:
            raise InvalidInput(f"{wanted_by}: lower device {name!r} {obstacle}")
        return link

    def pool(self, network: Network) -> list[Link]:
        """The lower devices of a network, in order, without those that are gone since it was defined.

        :raises InvalidInput: all are gone, or as :meth:`lower_device`.
        """
        gone = self.gone(network)
        if len(gone) > 1 and len(gone) == len(network.devices):
            raise InvalidInput(
                f"network {network.name!r}: none of its lower devices exists on this host: {', '.join(gone)};"
                f" usable devices: {', '.join(sorted(self._candidates(False))) or 'none'}"
            )
        there = [name for name in network.devices if name not in gone] or network.devices
        links = [self.lower_device(name, f"network {network.name!r}") for name in there]
        return list({link.ifindex: link for link in links}.values())

    def gone(self, network: Network) -> list[str]:
        """Of the lower devices that were there when a network was defined, those that are not now."""
        return [name for name in network.devices if name in network.defined_with and self.device(name) is None]

    def _candidates(self, by_mac: bool) -> list[str]:
        usable = [link for link in self.links.values() if self.obstacle(link) is None and link.kind != "ifb"]
        if by_mac:
            return [f"{link.name} (mac:{link.permanent_mac})" for link in usable if link.permanent_mac]
        return [link.name for link in usable]

    def obstacle(self, link: Link) -> str | None:
        """Why no macvtap can be on this link, or be of use there (macvlan_common_newlink), None = it can."""
        if link.flags & IFF_LOOPBACK:
            return "is the loopback device; name an Ethernet device"
        if link.kind in _SIBLINGS:
            below = self.device_name(link)
            return f"is itself a {link.kind}: the kernel would silently use what is below it; name {below}"
        if link.kind == "tun":
            return "is a tun/tap device, whose other end is a program and no wire; name an Ethernet device"
        if link.kind == "vrf":
            return "is a VRF, a routing table that has no wire; name one of its ports"
        if link.kind in _IPVLANS:
            return f"is itself an {link.kind}, on which no other link can be; name an Ethernet device"
        if link.hardware != _ARPHRD_ETHER:
            return f"is not an Ethernet device (ARPHRD type {link.hardware}); name an Ethernet device"
        owner = self.links.get(self.physical_functions.get(link.ifindex, 0))
        if owner is not None and not owner.is_up:
            return (
                f"is a virtual function of {owner.name}, which is down, so that no frame passes; bring that up: ip link"
                f" set dev {owner.name} up"
            )
        master = self.links.get(link.master)
        if master is not None and master.kind in _PORT_MASTERS:
            return (
                f"is a port of {_PORT_MASTERS[master.kind]} {master.name}, which receives all its frames; use"
                f" {master.name} itself, or remove the port from it first"
            )
        ipvlan = self._ipvlans.get(link.ifindex)
        if ipvlan is not None:
            return (
                f"carries the {ipvlan.kind} {ipvlan.name}, which receives all its frames; use another device, or delete"
                f" {ipvlan.name} first"
            )
        return None

    def require_alone(self, device: Link, mode: str, ignored: set[int], wanted_by: str) -> None:
        """Passthrough wants the lower device for itself, and no link joins one that has it (macvlan: EINVAL).

        :arg ignored: ifindexes of links that do not count: the NIC's own, and those about to be removed.
        """
        others = [link for link in self.on_device(device.ifindex) if link.ifindex not in ignored]
        if mode != "passthrough":
            others = [link for link in others if link.mode == "passthrough"]
        if others:
            raise Refused(
                "%s: mode %s on %s is not possible: it already carries %s%s; delete that link or use another device"
                % (
                    wanted_by,
                    mode,
                    device.name,
                    ", ".join(self.describe(link) for link in others[:5]),
                    "" if mode == "passthrough" else " in mode passthrough, which excludes all others",
                )
            )
