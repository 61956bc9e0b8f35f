# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The words of this collection as plain data. PURE: imports nothing that touches a host.

Terms: *lower device* = the NIC a macvtap sits on; *network* = a named macvtap network (a mode and a pool of lower
devices); *attachment* = one guest NIC, that is one macvtap link and its tap device node.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

#: Modes as libvirt spells them, in the order of the documentation. The kernel's word for the last is ``passthru``.
MODES = ("vepa", "bridge", "private", "passthrough")

#: there while the next boot makes links, see :mod:`_boot.files`
BOOT_DIRECTORY = "/etc/macvtap/boot"


#: of one tap (MAX_TAP_QUEUES, linux/if_tap.h): every open is one more
MAX_QUEUES = 256

#: MTUs that a macvtap can have, in bytes (ETH_MIN_MTU and ETH_MAX_MTU, linux/if_ether.h)
MTUS = range(68, 65536)

#: 802.1Q tags that mean a VLAN
VLANS = range(1, 4095)

#: nic numbers are positions; more than this is a slip, and more digits than the owner tag of a link is read with
MAX_NIC = 999_999_999


class PortGroup(NamedTuple):
    """A libvirt ``<portgroup>``: a named variant of a network that a NIC may ask for."""

    name: str
    default: bool
    #: by option, for its NICs that do not ask for another value (see :mod:`_link.inherit`)
    settings: Mapping[str, Any] = MappingProxyType({})


class Network(NamedTuple):
    """A macvtap network, as defined by options, by libvirt network XML or by a definition file."""

    name: str
    mode: str
    #: the lower devices, the pool, in order, as they were given: names, alternative names, permanent MACs
    #: (:func:`_core.names.check_device`); empty while ``pf`` is not yet resolved
    devices: tuple[str, ...]
    #: SR-IOV physical function whose VFs are the pool (``<pf dev=…/>``), or None
    pf: str | None = None
    portgroups: tuple[PortGroup, ...] = ()
    #: by option, for its NICs that neither ask for another value nor have one from their port group
    settings: Mapping[str, Any] = MappingProxyType({})
    #: today's libvirt network XML for it, with everything that was to be kept (uuid, metadata, comments);
    #: None when it comes from plain options
    xml: str | None = None
    #: of ``devices``, those that were there when the network was defined: the others serve while one of these is gone
    defined_with: tuple[str, ...] = ()


class Nic(NamedTuple):
    """One wanted guest NIC as it was asked for: nothing derived, no network resolved yet."""

    guest: str | None
    #: position in the guest; None = order of appearance
    nic: int | None = None
    network: str | None = None
    portgroup: str | None = None
    device: str | None = None
    mode: str | None = None
    #: lower case, two digits per octet
    mac: str | None = None
    ifname: str | None = None
    #: how often the consumer opens the tap
    queues: int = 1
    #: by option, what it asks of its link (see :data:`_link.attributes.OPTIONS`) and of the node of its tap
    #: (:data:`_link.attributes.NODE_OPTIONS`); None or absent = not asked for
    settings: Mapping[str, Any] = MappingProxyType({})
    #: owner of the node; None = as the task has it
    policy: NodePolicy | None = None
    #: where it was asked for, for messages: "attachments[3]", "interface 2 of domain web"
    origin: str = ""
    #: read from libvirt's XML: its network may be of another kind, and then it is not a macvtap NIC
    from_xml: bool = False
    #: elements of the XML that say what the guest sees of the NIC, on one line
    hardware: str = ""
    #: whether libvirt would follow the filters that the guest sets (trustGuestRxFilters)
    trusts_filters: bool = False
    #: why a macvtap cannot do what the NIC asks for, as a message; None = it can
    objection: str | None = None


class Guard(NamedTuple):
    """What one link may send; the fields are the keys of the option (see :mod:`_traffic.guard`)."""

    mac: bool = True
    #: the smallest list of networks that means the same, IPv4 first; None = any
    addresses: tuple[str, ...] | None = None
    vlans: tuple[int, ...] = ()
    other_protocols: bool = True
    stp: bool = False
    dhcp_server: bool = False
    router_advertisements: bool = False
    #: frames a second
    broadcast_rate: int | None = None


#: IFF_* flags that matter here (linux/if.h)
IFF_UP = 0x1
IFF_LOOPBACK = 0x8
IFF_NOARP = 0x80
IFF_PROMISC = 0x100
IFF_ALLMULTI = 0x200
#: the driver sees a carrier; only while the link is up
IFF_LOWER_UP = 0x10000


#: link group of a link from its creation until it is tagged ("mvtp"): the kernel takes no alias at creation
MAKING_GROUP = 0x6D767470


class Shape(NamedTuple):
    """How one direction of a link is limited."""

    #: bytes a second; 0 = it is not known or incomplete
    rate: int
    #: bytes a second while the burst lasts, 0 = as fast as it goes
    peak: int = 0
    #: bytes
    burst: int = 0


class Bandwidth(NamedTuple):
    """How a link is limited, as its guest sees it."""

    inbound: Shape | None = None
    outbound: Shape | None = None


class VirtualFunction(NamedTuple):
    """What a physical function does for one of its virtual functions; None = nothing is said of it."""

    #: tag that it adds to frames of the guest, with its priority in the bits from 13 on; 0 = none
    vlan: int | None = None
    trust: bool | None = None
    spoof_check: bool | None = None


class Link(NamedTuple):
    """A network link as the kernel reports it, or as it is wanted."""

    ifindex: int
    name: str
    #: ``macvtap``, ``bridge``, ``veth`` …; "" for a plain NIC
    kind: str = ""
    #: libvirt's word, ``source`` or None for what is no macvtap
    mode: str | None = None
    #: ifindex of the lower device, 0 = none
    lower: int = 0
    #: set when the lower device lives in another network namespace
    lower_netnsid: int | None = None
    mac: str = ""
    mtu: int = 0
    flags: int = 0
    alias: str = ""
    group: int = 0
    #: ifindex of the bridge, bond … that has enslaved it, 0 = none
    master: int = 0
    #: RFC 2863 state in the kernel's words (``up``, ``down``, ``lowerlayerdown`` …)
    operstate: str = "unknown"
    #: ARPHRD_* type, 1 = Ethernet
    hardware: int = 1
    #: the per-link sysctl ``disable_ipv6``; None where the kernel has no IPv6
    ipv6_disabled: bool | None = None
    #: txqueuelen, frames
    queue_length: int = 0
    qdisc: str = ""
    #: frames, as the link asks for; None where the kernel (before 5.11) does not report it
    broadcast_queue: int | None = None
    #: names beside ``name``; no other link can have one of them
    altnames: tuple[str, ...] = ()
    #: 802.1Q tag of a VLAN device, None for every other link
    vlan: int | None = None
    #: the MAC that the hardware came with; "" for most virtual devices
    permanent_mac: str = ""
    #: None = neither direction is limited by this collection
    bandwidth: Bandwidth | None = None
    #: the ifb that limits what the guest receives, 0 = none
    ifb: int = 0
    #: what it may send; None = anything, or a guard that is not whole. It is in nftables, not in the link.
    guard: Guard | None = None
    #: what was asked for of the virtual function below; None = nothing. It is in the physical function.
    vf: VirtualFunction | None = None

    @property
    def is_macvtap(self) -> bool:
        return self.kind == "macvtap"

    @property
    def is_up(self) -> bool:
        return bool(self.flags & IFF_UP)

    @property
    def has_carrier(self) -> bool:
        """Whether frames can leave: up, with a carrier. The operational state says so some time later."""
        return bool(self.flags & IFF_LOWER_UP)


class Vlan(NamedTuple):
    """The VLAN that a link is in, since its lower device is a VLAN device."""

    tag: int
    #: name of what the VLAN device is on; None = another program made the VLAN device
    parent: str | None = None


def placed(device: str, vlan: Vlan | None) -> dict[str, Any]:
    """Where a link is, as rows of results have it.

    :arg device: name of its lower device.
    """
    return {"device": device, "vlan": vlan and vlan.tag, "vlan_parent": vlan and vlan.parent}


class OwnerTag(NamedTuple):
    """What the alias of a link of ours says."""

    guest: str
    nic: int
    network: str | None = None
    queues: int = 1
    #: options that a task asked for and that later tasks keep, as (name, value), both as text
    requested: tuple[tuple[str, str], ...] = ()
    #: a digest of the guard that the link has, "" = none
    guard: str = ""
    #: what its virtual function had before, see :mod:`_traffic.virtual_function`; "" = nothing was set there
    vf: str = ""


class Node(NamedTuple):
    """What lies at the path of a tap device node."""

    path: str
    #: "character device", "regular file", "symbolic link" …
    kind: str
    major: int = 0
    minor: int = 0
    uid: int = 0
    gid: int = 0
    #: permission bits; with an ACL those that stay without it
    mode: int = 0
    #: POSIX access ACL as the kernel keeps it, empty = none
    acl: bytes = b""
    #: the kernel's name of the tap with this device number, in whatever namespace; None = no such tap
    tap: str | None = None
    #: True when the major number is that of macvtap
    is_tap: bool = False

    @property
    def is_stale(self) -> bool:
        """A tap node left over from a link that is gone: it opens nothing today and another guest's tap tomorrow."""
        return self.is_tap and self.tap is None


class Tap(NamedTuple):
    """The tap of one existing link: its true device number, and what lies at the path of its node."""

    number: tuple[int, int]
    node: Node | None

    @property
    def own_node(self) -> Node | None:
        """The node, when it is this tap's: by its device number, never by its name."""
        node = self.node
        is_own = node is not None and node.kind == "character device" and (node.major, node.minor) == self.number
        return node if is_own else None


#: holders of one tap that are named; a guest has one
MOST_HOLDERS = 20


class Holder(NamedTuple):
    """A process that has a tap open."""

    pid: int
    command: str
    #: effective user, and groups
    uid: int = 0
    groups: frozenset[int] = frozenset()

    def __str__(self) -> str:
        return "pid %d (%s)" % self[:2]


class NodePolicy(NamedTuple):
    """Where tap nodes live and what owner they get; None = not managed."""

    directory: str = "/dev"
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None

    @property
    def is_managing(self) -> bool:
        """Whether it says anything of who may open a node."""
        return (self.uid, self.gid, self.mode) != (None, None, None)

    def path(self, ifindex: int) -> str:
        """The kernel names the node after the ifindex (drivers/net/macvtap.c)."""
        return f"{self.directory.rstrip('/')}/tap{ifindex}"

    def with_defaults(self, owner: tuple[int, int, int]) -> NodePolicy:
        """This policy, with what it does not manage set to ``owner`` (user, group, permission bits)."""
        uid, gid, mode = self.owner(owner)
        return self._replace(uid=uid, gid=gid, mode=mode)

    def owner(self, now: tuple[int, int, int]) -> tuple[int, int, int]:
        """The wanted owner, group and permission bits of a node that has ``now``."""
        return (
            now[0] if self.uid is None else self.uid,
            now[1] if self.gid is None else self.gid,
            now[2] if self.mode is None else self.mode,
        )


class Attachment(NamedTuple):
    """One wanted guest NIC with everything decided."""

    guest: str
    nic: int
    network: str | None
    #: name of the lower device
    device: str
    queues: int
    #: the link as it is wanted
    link: Link
    #: the link as it is, None = to be made
    found: Link | None
    origin: str = ""
    #: owner of the node; None = as the task has it
    policy: NodePolicy | None = None
    #: as of :class:`Nic`
    hardware: str = ""
    #: options that an earlier task asked for, that this one does not mention, and that so make a difference
    kept: Mapping[str, Any] = MappingProxyType({})
    #: None = the lower device is no VLAN device
    vlan: Vlan | None = None
