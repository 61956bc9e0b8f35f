# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What is wrong with attachments and networks, in words for an operator. PURE."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from .._boot.entry import Entry, differences
from .._core.model import IFF_NOARP, Holder, Link, Network, OwnerTag, Tap
from .._link.attributes import requested
from .._link.host import Host
from .._link.in_use import admits, first_of
from .._traffic.guard import digest
from .._traffic.table import Table
from .warnings import of_devices


def of_boot(entry: Entry | None, row: Mapping[str, Any]) -> list[str]:
    """What the next boot makes of a link that it is to make.

    :arg row: the live link as a row of a result.
    """
    changes = differences(entry, row) if entry is not None else []
    return [f"the next boot creates it differently: {', '.join(changes)}"] if changes else []


def of_path(entry: Entry, host: Host) -> list[str]:
    """What keeps the path of a guest NIC whose link is not there from being its own when it is made."""
    taken = host.in_the_way(entry.ifindex)
    return [f"the path tap{entry.ifindex} of {entry.title} is taken: {taken}"] if taken else []


def of_guard(link: Link, tag: OwnerTag, guards: Table | None) -> Iterator[str]:
    """What keeps the guard of a link from being what it was given.

    :arg guards: the table of all guards.
    """
    found = guards.entries.get(link.ifindex) if guards is not None else None
    if tag.guard and not found:
        yield "guard missing: nftables has no rules for this link, so the guest can send anything"
    elif tag.guard and guards is not None and not guards.is_hooked(link.ifindex, link.name):
        yield "guard incomplete: the frames of this link do not reach its rules, so the guest can send anything"
    elif tag.guard and link.guard is None:
        yield "guard incomplete: another program changed its rules in nftables"
    elif tag.guard and link.guard is not None and digest(link.guard) != tag.guard:
        yield "guard differs from the one that the link was given: another program changed it in nftables"
    elif not tag.guard and found:
        yield "guard left over: nftables has rules for this link, which has no guard"


class Survey:
    """Everything the problems are told from: one look at links and taps, and the networks defined."""

    def __init__(
        self,
        host: Host,
        networks: Mapping[str, Network],
        libvirt_links: Mapping[str, str],
        wireless: Collection[str] = (),
    ) -> None:
        """Take what was looked at.

        :arg libvirt_links: macvtaps that libvirt made, name → domain.
        :arg wireless: names of the lower devices that are.
        """
        self._host = host
        self._networks = networks
        self._libvirt_links = libvirt_links
        self._wireless = wireless
        self._by_mac: dict[str, list[Link]] = {}
        for link in host.links.values():
            self._by_mac.setdefault(link.mac, []).append(link)
        self._tags = Counter((owned.tag.guest, owned.tag.nic) for owned in host.tagged())

    def of_link(
        self, link: Link, seen: Tap | None, path: str, holders: Sequence[Holder], omitted: int = 0
    ) -> list[str]:
        """The problems of one macvtap; empty = none.

        :arg omitted: number of holders that are not listed.
        """
        problems = list(self._of_node(seen, path))
        problems += self._of_mac(link)
        problems += self._of_lower(link)
        for other in self._host.guards.others_that_hook(link) if self._host.guards is not None else ():
            problems.append(
                f"guard covers another link: the guard of the link with index {other} hooks this one, which has its"
                " name, and lets its frames pass"
            )
        tag = self._host.tag(link)
        problems += self._of_mark(link, tag) if tag is not None else self._of_foreign(link)
        if len(holders) > 1:
            problems.append(
                f"held open by {len(holders) + omitted} processes ({first_of(holders, omitted)}): each is one more"
                " queue of the same NIC and takes frames from the other"
            )
        return problems + list(self._of_access(seen, path, holders))

    def of_network(self, network: Network) -> list[str]:
        """The problems of one network; empty = none."""
        problems = []
        for given in network.devices:
            device = self._host.device(given)
            if device is None:
                problems.append(f"lower device {given} does not exist")
                continue
            name = device.name
            obstacle = self._host.obstacle(device)
            if obstacle:
                problems.append(f"lower device {name} {obstacle}")
            if not device.is_up:
                problems.append(f"lower device {name} is down")
            elif not device.has_carrier:
                problems.append(f"lower device {name} has no carrier")
            problems += of_devices({name}.intersection(self._wireless))
            foreign = [
                f"{link.name} ({self._maker(link)})"
                for link in self._host.on_device(device.ifindex)
                if self._host.tag(link) is None and not self._host.is_host_link(link)
            ]
            if foreign:
                problems.append(f"lower device {name} also carries {', '.join(foreign)}, which is not ours")
        return problems

    @staticmethod
    def _of_node(seen: Tap | None, path: str) -> Iterator[str]:
        if seen is None:
            yield "sysfs does not show this link: /sys was mounted for another network namespace"
        elif seen.node is None:
            yield f"node missing: nothing lies at {path}"
        elif seen.node.kind != "character device":
            yield f"node of another kind: a {seen.node.kind} lies at {path}"
        elif (seen.node.major, seen.node.minor) != seen.number:
            yield "node of another device: %s is %d:%d, this tap is %d:%d" % (
                (path, seen.node.major, seen.node.minor) + seen.number
            )

    @staticmethod
    def _of_access(seen: Tap | None, path: str, holders: Sequence[Holder]) -> Iterator[str]:
        """Who has a way to the tap that the owner of its node does not tell."""
        node = seen.node if seen is not None else None
        if node is None or seen is None or (node.major, node.minor) != seen.number:
            return
        if node.acl:
            yield f"{path} has an ACL, which may let others open it than its owner and mode say"
        owner = (node.uid, node.gid, node.mode)
        strangers = [holder for holder in holders if not admits(owner, holder)]
        # a guest whose tap root opened for it is no stranger
        if node.uid and strangers:
            yield f"held open by {first_of(strangers)}, although the owner and mode of {path} do not admit it"

    def _of_mac(self, link: Link) -> Iterator[str]:
        """Whatever else has the MAC where the frames of both meet."""
        others = [other for other in self._by_mac[link.mac] if other is not link]
        here = [other for other in self._host.on_device(link.lower) if other in others]
        if here:
            yield f"duplicate MAC: another {here[0].kind} on {self._host.device_name(link)} has {link.mac} too"
        for other in others:
            if other.kind not in ("macvtap", "macvlan"):
                # in mode passthrough the lower device carries the MAC of the guest
                if other.ifindex != link.lower or link.mode != "passthrough":
                    yield f"duplicate MAC: {other.name}, another NIC of this host, has {link.mac} too"
                continue
            segment = self._host.segment(link)
            if other not in here and segment is not None and segment == self._host.segment(other):
                yield (
                    f"duplicate MAC: {other.name} on {self._host.device_name(other)} has {link.mac} too, and both"
                    f" devices are connected to {segment.name}"
                )

    def _of_lower(self, link: Link) -> Iterator[str]:
        lower = self._host.links.get(link.lower)
        if link.lower_netnsid is not None or lower is None:
            yield "lower device is in another network namespace"
            return
        if not lower.is_up:
            yield f"lower device {lower.name} is down"
        elif not lower.has_carrier:
            yield f"lower device {lower.name} has no carrier"
        yield from self._of_mtu(link, lower)
        obstacle = self._host.obstacle(lower)
        if obstacle:
            yield f"lower device {lower.name} {obstacle}"
        yield from of_devices({lower.name}.intersection(self._wireless))

    def _of_mtu(self, link: Link, lower: Link) -> Iterator[str]:
        tag = self._host.tag(link)
        asked = requested(tag).get("mtu")
        if asked is not None and asked > lower.mtu:
            yield f"mtu {asked}, which a task requested, is more than the {lower.mtu} of lower device {lower.name}"
        elif tag is not None and asked is None and link.mtu < lower.mtu:
            yield (
                f"mtu {link.mtu} is less than the {lower.mtu} of lower device {lower.name}, and no task requested that"
            )

    def _of_foreign(self, link: Link) -> Iterator[str]:
        device = self._host.device_name(link)
        for network in self._networks.values():
            if device in map(self._host.current_name, network.devices):
                maker = self._maker(link)
                yield f"foreign: it is {maker}, not ours, and lower device {device} belongs to network {network.name!r}"

    def _maker(self, link: Link) -> str:
        domain = self._libvirt_links.get(link.name)
        return "some other tool's" if domain is None else f"libvirt's, for its domain {domain}"

    def _of_mark(self, link: Link, tag: OwnerTag) -> Iterator[str]:
        domain = self._libvirt_links.get(link.name)
        if domain is not None:
            yield f"two owners: libvirt also created it, for domain {domain}, and deletes it when the domain ends"
        if self._tags[tag.guest, tag.nic] > 1:
            yield f"duplicate owner tag: another link also carries the one of guest {tag.guest} nic {tag.nic} too"
        if requested(tag).get("isolate_host", True) and (not link.flags & IFF_NOARP or link.ipv6_disabled is False):
            yield "the host's own IP stack is not silent on this link"
        yield from of_guard(link, tag, self._host.guards)
        if tag.network is None:
            return
        network = self._networks.get(tag.network)
        if network is None:
            yield f"orphan: network {tag.network!r} is no longer defined"
            return
        if link.mode != network.mode:
            yield f"mode is {link.mode}, that of network {network.name!r} is {network.mode}"
        pool = {device.ifindex for device in map(self._host.device, network.devices) if device is not None}
        vlan = network.settings.get("vlan")
        if network.devices and pool.isdisjoint(self._host.stands_on(link)):
            yield f"lower device {self._host.device_name(link)} is not in the pool of network {network.name!r}"
        elif vlan is not None and link.lower in pool:
            yield f"not in a VLAN: network {network.name!r} has VLAN {vlan}, and the next attachment moves it there"
