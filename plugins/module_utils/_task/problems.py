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
from .._link.host import Host
from .._link.in_use import admits, first_of
from .warnings import of_devices


def of_boot(entry: Entry | None, row: Mapping[str, Any]) -> list[str]:
    """What the next boot makes of a link that it is to make.

    :arg row: the live link as a row of a result.
    """
    changes = differences(entry, row) if entry is not None else []
    return ["the next boot creates it differently: %s" % ", ".join(changes)] if changes else []


def of_path(entry: Entry, host: Host) -> list[str]:
    """What keeps the path of a guest NIC whose link is not there from being its own when it is made."""
    taken = host.in_the_way(entry.ifindex)
    return ["the path tap%d of %s is taken: %s" % (entry.ifindex, entry.title, taken)] if taken else []


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
        self._macs = Counter((link.lower, link.mac) for link in host.macvtaps)
        self._tags = Counter((owned.tag.guest, owned.tag.nic) for owned in host.tagged())

    def of_link(
        self, link: Link, seen: Tap | None, path: str, holders: Sequence[Holder], omitted: int = 0
    ) -> list[str]:
        """The problems of one macvtap; empty = none.

        :arg omitted: number of holders that are not listed.
        """
        problems = list(self._of_node(seen, path))
        if self._macs[link.lower, link.mac] > 1:
            problems.append(
                "duplicate MAC: another macvtap on %s has %s too" % (self._host.device_name(link), link.mac)
            )
        problems += self._of_lower(link)
        tag = self._host.tag(link)
        problems += self._of_mark(link, tag) if tag is not None else self._of_foreign(link)
        if len(holders) > 1:
            problems.append(
                "held open by %d processes (%s): each is one more queue of the same NIC and takes frames from the other"
                % (len(holders) + omitted, first_of(holders, omitted))
            )
        return problems + list(self._of_access(seen, path, holders))

    def of_network(self, network: Network) -> list[str]:
        """The problems of one network; empty = none."""
        problems = []
        for name in network.devices:
            device = self._host.by_name.get(name)
            if device is None:
                problems.append("lower device %s does not exist" % name)
                continue
            obstacle = self._host.obstacle(device)
            if obstacle:
                problems.append("lower device %s %s" % (name, obstacle))
            if not device.is_up:
                problems.append("lower device %s is down" % name)
            problems += of_devices({name}.intersection(self._wireless))
            foreign = [
                "%s (%s)" % (link.name, self._maker(link))
                for link in self._host.on_device(device.ifindex)
                if self._host.tag(link) is None
            ]
            if foreign:
                problems.append("lower device %s also carries %s, which is not ours" % (name, ", ".join(foreign)))
        return problems

    @staticmethod
    def _of_node(seen: Tap | None, path: str) -> Iterator[str]:
        if seen is None:
            yield "sysfs does not show this link: /sys was mounted for another network namespace"
        elif seen.node is None:
            yield "node missing: nothing lies at %s" % path
        elif seen.node.kind != "character device":
            yield "node of another kind: a %s lies at %s" % (seen.node.kind, path)
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
            yield "%s has an ACL, which may let others open it than its owner and mode say" % path
        owner = (node.uid, node.gid, node.mode)
        strangers = [holder for holder in holders if not admits(owner, holder)]
        # a guest whose tap root opened for it is no stranger
        if node.uid and strangers:
            yield "held open by %s, although the owner and mode of %s do not admit it" % (first_of(strangers), path)

    def _of_lower(self, link: Link) -> Iterator[str]:
        lower = self._host.links.get(link.lower)
        if link.lower_netnsid is not None or lower is None:
            yield "lower device is in another network namespace"
            return
        if not lower.is_up:
            yield "lower device %s is down" % lower.name
        elif lower.operstate in ("down", "lowerlayerdown"):
            yield "lower device %s has no carrier" % lower.name
        obstacle = self._host.obstacle(lower)
        if obstacle:
            yield "lower device %s %s" % (lower.name, obstacle)
        yield from of_devices({lower.name}.intersection(self._wireless))

    def _of_foreign(self, link: Link) -> Iterator[str]:
        device = self._host.device_name(link)
        for network in self._networks.values():
            if device in network.devices:
                yield "foreign: it is %s, not ours, and lower device %s belongs to network %r" % (
                    self._maker(link),
                    device,
                    network.name,
                )

    def _maker(self, link: Link) -> str:
        domain = self._libvirt_links.get(link.name)
        return "some other tool's" if domain is None else "libvirt's, for its domain %s" % domain

    def _of_mark(self, link: Link, tag: OwnerTag) -> Iterator[str]:
        domain = self._libvirt_links.get(link.name)
        if domain is not None:
            yield "two owners: libvirt also created it, for domain %s, and deletes it when the domain ends" % domain
        if self._tags[tag.guest, tag.nic] > 1:
            yield "duplicate owner tag: another link also carries the one of guest %s nic %d too" % (tag.guest, tag.nic)
        if not link.flags & IFF_NOARP or link.ipv6_disabled is False:
            yield "the host's own IP stack is not silent on this link"
        if tag.network is None:
            return
        network = self._networks.get(tag.network)
        if network is None:
            yield "orphan: network %r is no longer defined" % tag.network
            return
        if link.mode != network.mode:
            yield "mode is %s, that of network %r is %s" % (link.mode, network.name, network.mode)
        if network.devices and self._host.device_name(link) not in network.devices:
            yield "lower device %s is not in the pool of network %r" % (self._host.device_name(link), network.name)
