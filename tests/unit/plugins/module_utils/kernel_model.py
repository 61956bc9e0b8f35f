# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small model of what the kernel does with macvtaps and their tap nodes, for tests without root.

The model sits behind the socket: it takes the very bytes that are meant for the kernel and answers with bytes. Its
rules are those of net/core/rtnetlink.c, drivers/net/macvlan.c and drivers/net/tap.c as of Linux 6; tests/kernel holds
it against the real kernel with random sequences.

    kernel = KernelModel()
    eth0 = kernel.add_device("eth0")
    with kernel.installed():
        ...  # whatever goes through netlink and tap_node meets the model
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import errno
import os
import socket
import struct
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Callable
from unittest import mock

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import HostError, Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Holder, Node
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.in_use import Use
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system import (
    holders,
    netlink,
    rtnetlink,
    tap_node,
    tap_use,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system.netlink import Reply
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task import converge

NEWLINK, DELLINK, GETLINK, ERROR, DONE = 16, 17, 18, 2, 3
MULTI, EXCL, CREATE = 0x2, 0x200, 0x400
ADDRESS, IFNAME, MTU, LINK, MASTER, OPERSTATE, LINKINFO = 1, 3, 4, 5, 10, 16, 18
IFALIAS, AF_SPEC, GROUP, NETNSID = 20, 26, 27, 37
UP, LOOPBACK, NOARP, PROMISC, ALLMULTI, LOWER_UP = 0x1, 0x8, 0x80, 0x100, 0x200, 0x10000
#: flags that a request can set and that a dump gives back
SETTABLE = UP | NOARP | PROMISC | ALLMULTI
BROADCAST_MULTICAST = 0x1002
MODES = {1: "private", 2: "vepa", 4: "bridge", 8: "passthrough", 16: "source"}
NUMBERS = {word: number for number, word in MODES.items()}
OPERSTATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")
SIBLINGS = ("macvtap", "macvlan")
#: a link with less has no IPv6, and so no IPv6 sysctl (IPV6_MIN_MTU)
IPV6_MIN_MTU = 1280
#: of macvtap; dynamic in reality
MAJOR = 246

HEADER = struct.Struct("=IHHII")
MESSAGE = struct.Struct("=BxHiII")


@dataclasses.dataclass
class Device:
    """One link in the model."""

    ifindex: int
    name: str
    kind: str = ""
    #: libvirt's word
    mode: str | None = None
    lower: int = 0
    netnsid: int | None = None
    mac: str = ""
    mtu: int = 1500
    flags: int = 0
    alias: str = ""
    group: int = 0
    master: int = 0
    hardware: int = 1
    #: the sysctl; None where the link has no IPv6
    ipv6_disabled: bool | None = False
    #: None on a kernel that has none
    broadcast_queue: int | None = None
    #: of the tap
    minor: int | None = None
    #: what the lower device gets back when its passthrough link goes
    own_mac: str = ""

    @property
    def number(self) -> tuple[int, int] | None:
        return None if self.minor is None else (MAJOR, self.minor)


@dataclasses.dataclass
class File:
    """What lies at a path of the model's /dev."""

    kind: str = "character device"
    number: tuple[int, int] = (0, 0)
    uid: int = 0
    gid: int = 0
    mode: int = 0o600
    acl: bytes = b""
    #: made by devtmpfs, which also takes it away
    by_kernel: bool = False


class KernelModel:
    """Links, taps and nodes of one network namespace.

    :ivar links: by ifindex.
    :ivar files: by path.
    :ivar other_taps: taps of other namespaces: their kernel names by device number.
    :ivar holders: processes that hold a tap open, by device number.
    :ivar faults: errno for the Nth change from here on (0 = the next); used up when it strikes.
    :ivar before_change: called before every change with its number.
    """

    def __init__(
        self, devtmpfs: bool = True, ipv6: bool = True, live_rename: bool = True, broadcast_queues: bool = True
    ) -> None:
        self.devtmpfs = devtmpfs
        #: whether a link that is up can be renamed: since Linux 6.2
        self.live_rename = live_rename
        self.has_broadcast_queues = broadcast_queues
        self.ipv6 = ipv6
        self.links: dict[int, Device] = {}
        self.files: dict[str, File] = {}
        self.other_taps: dict[tuple[int, int], str] = {}
        self.holders: dict[tuple[int, int], list[Holder]] = {}
        self.faults: dict[int, int] = {}
        self.before_change: Callable[[int], None] = lambda number: None
        self.changes = 0
        self.add_device("lo", kind="", mac="00:00:00:00:00:00", mtu=65536, flags=UP | LOOPBACK, hardware=772)

    # -- setting the scene -------------------------------------------------------------------------------------------

    def add_device(self, name: str, ifindex: int | None = None, **attributes: Any) -> Device:
        """A link that simply is there. A veth's ``lower`` may be in another namespace (``netnsid``)."""
        index = ifindex or max(self.links, default=0) + 1
        attributes.setdefault("mac", "52:54:00:00:00:%02x" % (index & 0xFF))
        device = Device(index, name, **attributes)
        if not self._may_have_ipv6(device):
            device.ipv6_disabled = None
        self.links[index] = device
        return device

    def add_child(self, name: str, lower: str, kind: str = "macvtap", mode: str = "vepa", **attributes: Any) -> Device:
        """A macvtap or macvlan made by somebody, with all it brings about.

        :raises OSError: as the kernel would refuse it.
        """
        index = attributes.pop("ifindex", None) or max(self.links) + 1
        flags = attributes.pop("flags", 0)
        request = {"mtu": attributes.pop("mtu", None), "mac": attributes.pop("mac", None)}
        self._create(index, name, kind, mode, self.by_name(lower).ifindex, flags=flags, **request)
        device = self.links[index]
        for key, value in attributes.items():
            setattr(device, key, value)
        return device

    def by_name(self, name: str) -> Device:
        return next(device for device in self.links.values() if device.name == name)

    def free_minor(self) -> int:
        """The lowest one that no tap of any namespace has."""
        used = {device.minor for device in self.links.values()} | {minor for _major, minor in self.other_taps}
        return next(minor for minor in range(1, 1 << 20) if minor not in used)

    def snapshot(self) -> tuple[dict[int, tuple], dict[str, tuple]]:
        """All there is, for comparing; a tap is called by its link, since a minor is not chosen by anybody."""
        taps: dict[Any, Any] = {device.number: device.ifindex for device in self.links.values() if device.number}
        links = {
            index: dataclasses.astuple(dataclasses.replace(device, minor=None, own_mac=""))
            for index, device in self.links.items()
        }
        files = {
            path: (file.kind, taps.get(file.number, file.number), file.uid, file.gid, file.mode, file.acl)
            for path, file in self.files.items()
        }
        return links, files

    # -- the seam ----------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def installed(self) -> Iterator[KernelModel]:
        """Let the rooms that talk to the host talk to this model."""
        sockets = types.SimpleNamespace(**{**vars(socket), "socket": lambda *_arguments: ModelSocket(self)})
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(netlink, "socket", sockets))
            stack.enter_context(mock.patch.multiple(rtnetlink, set_ipv6=self.set_ipv6, bring_up=self.bring_up))
            stack.enter_context(
                mock.patch.multiple(
                    tap_node,
                    device_number=self.device_number,
                    look=self.look,
                    identify=self.identify,
                    foreign_nodes=self.foreign_nodes,
                    make=self.make_node,
                    remove=self.remove_node,
                    own=self.own_node,
                    settle=lambda: None,
                )
            )
            stack.enter_context(mock.patch.object(holders, "find", self.holders_of))
            stack.enter_context(mock.patch.object(tap_use, "use_of", self.use_of))
            stack.enter_context(mock.patch.object(converge, "namespace_lock", contextlib.nullcontext))
            yield self

    def _count_change(self) -> None:
        """Every change goes through here, so that any of them can be made to fail."""
        number = self.changes
        self.changes += 1
        self.before_change(number)
        if number in self.faults:
            raise OSError(self.faults.pop(number), "injected")

    # -- rtnetlink ---------------------------------------------------------------------------------------------------

    def request(self, kind: int, flags: int, body: bytes) -> int:
        """Carry out one request.

        :returns: positive errno, 0 = done.
        """
        _family, _hardware, index, if_flags, change = MESSAGE.unpack_from(body)
        attributes = dict(parse(body[MESSAGE.size :]))
        try:
            self._count_change()
            if kind == DELLINK:
                self._delete_group(attributes)
            elif kind == NEWLINK:
                self._new_link(flags, index, attributes, if_flags, change)
            else:
                return errno.EOPNOTSUPP
        except OSError as exc:
            return exc.errno or errno.EIO
        return 0

    def _new_link(self, flags: int, index: int, attributes: dict[int, bytes], if_flags: int, change: int) -> None:
        require(len(text(attributes.get(IFNAME, b""))) <= 15, errno.ERANGE)
        # here, unlike in a name, a closing zero counts
        require(len(attributes.get(IFALIAS, b"")) <= 255, errno.ERANGE)
        kind, mode, queue = link_info(attributes.get(LINKINFO, b""))
        mac = attributes.get(ADDRESS)
        # macvlan_validate comes before anything is looked up
        require(kind not in SIBLINGS or mac is None or is_valid(mac.hex(":")), errno.EADDRNOTAVAIL)
        device = self.links.get(index)
        if device is not None:
            require(not (flags & CREATE and flags & EXCL), errno.EEXIST)
            self._change(device, kind, mode, queue, attributes, if_flags, change)
            return
        require(bool(flags & CREATE), errno.ENODEV)
        require(kind in SIBLINGS, errno.EOPNOTSUPP)
        require(LINK in attributes, errno.EINVAL)
        self._create(
            index,
            text(attributes[IFNAME]).decode(),
            kind,
            mode or "vepa",
            u32(attributes[LINK]),
            mtu=u32(attributes[MTU]) if MTU in attributes else None,
            mac=mac.hex(":") if mac is not None else None,
            flags=if_flags & change & ~UP,
            group=u32(attributes.get(GROUP, b"\0\0\0\0")),
            queue=queue,
        )
        # the alias is ignored here
        if change & if_flags & UP:
            try:
                self.set_up(self.links[index], True)
            except OSError:
                self._remove([self.links[index]])
                raise

    def _create(
        self,
        index: int,
        name: str,
        kind: str,
        mode: str,
        lower_index: int,
        mtu: int | None = None,
        mac: str | None = None,
        flags: int = 0,
        group: int = 0,
        queue: int | None = None,
    ) -> None:
        """rtnl_newlink_create and macvlan_common_newlink."""
        require(mtu is None or mtu >= 68, errno.EINVAL)
        lower = self.links.get(lower_index)
        require(lower is not None, errno.ENODEV)
        assert lower is not None
        if lower.kind in SIBLINGS:
            lower = self.links[lower.lower]
        require(mtu is None or mtu <= lower.mtu, errno.EINVAL)
        siblings = self.children(lower)
        if not siblings:
            require(lower.hardware == 1 and not lower.flags & LOOPBACK, errno.EINVAL)
            require(not self._has_port_master(lower), errno.EBUSY)
        require(not any(sibling.mode == "passthrough" for sibling in siblings), errno.EINVAL)
        require(mode != "passthrough" or not siblings, errno.EINVAL)
        require(index not in self.links, errno.EEXIST)
        self._require_name(name)
        if not siblings:
            lower.own_mac = lower.mac
        if mode == "passthrough" or mac is None:
            mac = (
                lower.mac if mode == "passthrough" else "0a:00:00:%02x:%02x:%02x" % tuple(index.to_bytes(4, "big")[1:])
            )
        device = Device(index, name, kind, mode, lower.ifindex, None, mac, mtu or lower.mtu, flags, group=group)
        if self.has_broadcast_queues:
            device.broadcast_queue = 1000 if queue is None else queue
        device.ipv6_disabled = False if self._may_have_ipv6(device) else None
        if kind == "macvtap":
            device.minor = self.free_minor()
            if self.devtmpfs:
                self.files.setdefault("/dev/tap%d" % index, File(number=(MAJOR, device.minor), by_kernel=True))
        self.links[index] = device

    def _change(
        self,
        device: Device,
        kind: str,
        mode: str | None,
        queue: int | None,
        attributes: dict[int, bytes],
        if_flags: int,
        change: int,
    ) -> None:
        """rtnl_changelink and do_setlink, in their order: what is done before a refusal stays done."""
        require(not kind or (kind == device.kind and kind in SIBLINGS), errno.EOPNOTSUPP)
        if mode is not None:
            require((mode == "passthrough") == (device.mode == "passthrough"), errno.EINVAL)
            device.mode = mode
        if queue is not None and self.has_broadcast_queues:
            device.broadcast_queue = queue
        if ADDRESS in attributes:
            self.set_mac(device, attributes[ADDRESS].hex(":"))
        if MTU in attributes:
            self.set_mtu(device, u32(attributes[MTU]))
        if GROUP in attributes:
            device.group = u32(attributes[GROUP])
        if IFNAME in attributes:
            self.rename(device, text(attributes[IFNAME]).decode())
        if IFALIAS in attributes:
            device.alias = text(attributes[IFALIAS]).decode("utf-8", "surrogateescape")
        if MASTER in attributes:
            self._set_master(device, u32(attributes[MASTER]))
        # a refused "up" keeps no other flag from being set (__dev_change_flags)
        meant = change & SETTABLE & ~UP
        device.flags = device.flags & ~meant | if_flags & meant
        if change & UP:
            self.set_up(device, bool(if_flags & UP))

    def set_mac(self, device: Device, mac: str) -> None:
        require(is_valid(mac), errno.EADDRNOTAVAIL)
        if mac == device.mac:
            return
        if device.kind not in SIBLINGS:
            device.mac = mac
            for child in self.children(device):
                if child.mode == "passthrough":
                    # set by its owner while it is lent out: this is what it gets back
                    child.mac = device.own_mac = mac
        elif device.mode == "passthrough":
            self.links[device.lower].mac = device.mac = mac
        else:
            require(not self._is_busy(device, mac), errno.EADDRINUSE)
            device.mac = mac

    def rename(self, device: Device, name: str) -> None:
        """dev_change_name; the empty name means no change."""
        require(not name or self.live_rename or not device.flags & UP, errno.EBUSY)
        if name and name != device.name:
            self._require_name(name)
            device.name = name

    def set_mtu(self, device: Device, mtu: int) -> None:
        require(mtu >= 68, errno.EINVAL)
        if device.kind in SIBLINGS:
            require(mtu <= self.links[device.lower].mtu, errno.EINVAL)
        device.mtu = mtu
        if not self._may_have_ipv6(device):
            device.ipv6_disabled = None
        elif device.ipv6_disabled is None:
            device.ipv6_disabled = False
        for child in self.children(device):
            if child.mtu > mtu:
                self.set_mtu(child, mtu)

    def set_up(self, device: Device, up: bool) -> None:
        if up and not device.flags & UP and device.kind in SIBLINGS and device.mode != "passthrough":
            require(not self._is_busy(device, device.mac), errno.EADDRINUSE)
        device.flags = device.flags | UP if up else device.flags & ~UP

    def _set_master(self, device: Device, master: int) -> None:
        if master:
            require(master in self.links, errno.EINVAL)
            require(not self.children(device), errno.EBUSY)
        device.master = master

    def _delete_group(self, attributes: dict[int, bytes]) -> None:
        group = u32(attributes.get(GROUP, b"\0\0\0\0"))
        require(bool(group), errno.EPERM)
        members = [device for device in self.links.values() if device.group == group]
        require(bool(members), errno.ENODEV)
        require(all(device.kind for device in members), errno.EOPNOTSUPP)
        self._remove(members)

    def _remove(self, devices: Iterable[Device]) -> None:
        for device in devices:
            self._remove(self.children(device))
            self.links.pop(device.ifindex, None)
            path = "/dev/tap%d" % device.ifindex
            file = self.files.get(path)
            if file is not None and file.by_kernel and file.number == device.number:
                del self.files[path]
            lower = self.links.get(device.lower)
            if device.mode == "passthrough" and lower is not None:
                lower.mac = lower.own_mac

    def remove(self, name: str) -> None:
        """Somebody deletes a link."""
        self._remove([self.by_name(name)])

    def children(self, lower: Device) -> list[Device]:
        return [device for device in self.links.values() if device.kind in SIBLINGS and device.lower == lower.ifindex]

    def _is_busy(self, device: Device, mac: str) -> bool:
        """macvlan_addr_busy: the lower device's own, or that of a sibling that is up."""
        lower = self.links[device.lower]
        siblings = self.children(lower)
        return mac == lower.mac or any(sibling.mac == mac and sibling.flags & UP for sibling in siblings)

    def _has_port_master(self, device: Device) -> bool:
        return device.master != 0

    def _may_have_ipv6(self, device: Device) -> bool:
        return self.ipv6 and device.mtu >= IPV6_MIN_MTU

    def _require_name(self, name: str) -> None:
        bad = not name or name in (".", "..") or any(letter in "/:" or letter.isspace() for letter in name)
        require(not bad, errno.EINVAL)
        require(all(device.name != name for device in self.links.values()), errno.EEXIST)

    def dump(self) -> Iterator[bytes]:
        """The payload of each message of a dump."""
        for device in self.links.values():
            yield self._message(device)

    def _message(self, device: Device) -> bytes:
        payload = attribute(IFNAME, device.name.encode() + b"\0")
        payload += attribute(MTU, struct.pack("=I", device.mtu)) + attribute(GROUP, struct.pack("=I", device.group))
        payload += attribute(OPERSTATE, bytes([OPERSTATES.index(self._operstate(device))]))
        if device.mac:
            payload += attribute(ADDRESS, bytes.fromhex(device.mac.replace(":", "")))
        if device.lower:
            payload += attribute(LINK, struct.pack("=I", device.lower))
        if device.netnsid is not None:
            payload += attribute(NETNSID, struct.pack("=i", device.netnsid))
        if device.master:
            payload += attribute(MASTER, struct.pack("=I", device.master))
        if device.alias:
            payload += attribute(IFALIAS, device.alias.encode("utf-8", "surrogateescape") + b"\0")
        if device.kind:
            info = attribute(1, device.kind.encode() + b"\0")
            if device.mode:
                data = attribute(1, struct.pack("=I", NUMBERS[device.mode]))
                if device.broadcast_queue is not None:
                    data += attribute(7, struct.pack("=I", device.broadcast_queue))
                info += attribute(2, data)
            payload += attribute(LINKINFO, info)
        if device.ipv6_disabled is not None:
            conf = [0] * 59
            conf[26] = int(device.ipv6_disabled)
            payload += attribute(AF_SPEC, attribute(10, attribute(2, struct.pack("=59I", *conf))))
        flags = device.flags | BROADCAST_MULTICAST | (LOWER_UP if self._operstate(device) in ("up", "unknown") else 0)
        return MESSAGE.pack(0, device.hardware, device.ifindex, flags, 0) + payload

    def _operstate(self, device: Device) -> str:
        if not device.flags & UP:
            return "down"
        lower = self.links.get(device.lower) if device.kind in SIBLINGS else None
        if lower is not None and not lower.flags & UP:
            return "lowerlayerdown"
        return "up" if device.kind else "unknown"

    # -- what netlink does beside its socket ----------------------------------------------------------------------

    def set_ipv6(self, name: str, enabled: bool) -> Reply:
        try:
            self._count_change()
        except OSError as exc:
            return Reply(exc.errno or errno.EIO)
        device = next((device for device in self.links.values() if device.name == name), None)
        if device is None or device.ipv6_disabled is None:
            return Reply(errno.ENOENT)
        device.ipv6_disabled = not enabled
        return Reply(0)

    def bring_up(self, ifindexes: Iterable[int], up: bool = True) -> None:
        for index in ifindexes:
            try:
                self._count_change()
                require(index in self.links, errno.ENODEV)
                self.set_up(self.links[index], up)
            except OSError as exc:
                raise HostError(str(exc), exc.errno or 0) from exc

    # -- what tap_node does -----------------------------------------------------------------------------------------

    def device_number(self, link: Any) -> tuple[int, int] | None:
        device = self.links.get(link.ifindex)
        return device.number if device is not None and device.name == link.name else None

    def look(self, path: str) -> Node | None:
        file = self.files.get(path)
        if file is None:
            return None
        return Node(path, file.kind, *file.number, file.uid, file.gid, file.mode, file.acl)

    def identify(self, node: Node) -> Node:
        number = (node.major, node.minor)
        if node.kind != "character device":
            return node
        own = {device.number: "tap%d" % device.ifindex for device in self.links.values() if device.number}
        tap = own.get(number) or self.other_taps.get(number)
        return node._replace(tap=tap, is_tap=node.major == MAJOR)

    def foreign_nodes(self, directory: str, own: Iterable[int]) -> dict[int, Node]:
        known = set(own)
        found = {}
        for path in self.files:
            folder, name = os.path.split(path)
            if folder == directory and name.startswith("tap") and int(name[3:]) not in known:
                node = self.look(path)
                assert node is not None
                found[int(name[3:])] = self.identify(node)
        return found

    def make_node(self, path: str, number: tuple[int, int]) -> None:
        try:
            self._count_change()
            require(path not in self.files, errno.EEXIST)
        except OSError as exc:
            raise HostError("cannot make node %s: %s" % (path, exc.strerror), exc.errno or 0) from exc
        self.files[path] = File(number=number)

    def remove_node(self, path: str, number: tuple[int, int]) -> bool:
        file = self.files.get(path)
        if file is None or file.number != number or file.kind != "character device":
            return False
        try:
            self._count_change()
        except OSError as exc:
            raise HostError("cannot remove node %s: %s" % (path, exc.strerror), exc.errno or 0) from exc
        del self.files[path]
        return True

    def own_node(self, path: str, number: tuple[int, int], uid: int, gid: int, mode: int, acl: bytes = b"") -> None:
        file = self.files.get(path)
        try:
            self._count_change()
            require(file is not None, errno.ENOENT)
        except OSError as exc:
            raise HostError("cannot reach node %s: %s" % (path, exc.strerror), exc.errno or 0) from exc
        assert file is not None
        if file.kind != "character device" or file.number != number:
            raise Refused("%s was replaced by something else a moment ago: left as it is" % path)
        file.uid, file.gid, file.mode, file.acl = uid, gid, mode, acl

    def holders_of(self, _numbers: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[Holder]]:
        """As :func:`holders.find`: a refusal would name who holds another guest's tap, and here it need not."""
        return {}

    def use_of(self, _netlink: Any, _links: Any, numbers: Mapping[int, tuple[int, int]]) -> Use:
        return Use({index: self.holders[number] for index, number in numbers.items() if number in self.holders})


class ModelSocket:
    """What the model gives in place of a socket of family AF_NETLINK."""

    def __init__(self, kernel: KernelModel) -> None:
        self._kernel = kernel
        self._inbox: collections.deque[bytes] = collections.deque()

    def setsockopt(self, *_arguments: Any) -> None:
        pass

    settimeout = bind = close = setsockopt

    def send(self, data: bytes) -> int:
        start = 0
        while start < len(data):
            length, kind, flags, sequence, _port = HEADER.unpack_from(data, start)
            body = data[start + HEADER.size : start + length]
            if kind == GETLINK:
                for message in self._kernel.dump():
                    self._answer(NEWLINK, MULTI, sequence, message)
                self._answer(DONE, MULTI, sequence, b"\0\0\0\0")
            else:
                number = self._kernel.request(kind, flags, body)
                self._answer(ERROR, 0, sequence, struct.pack("=i", -number) + data[start : start + HEADER.size])
            start += (length + 3) & ~3
        return len(data)

    def _answer(self, kind: int, flags: int, sequence: int, payload: bytes) -> None:
        self._inbox.append(HEADER.pack(HEADER.size + len(payload), kind, flags, sequence, 0) + payload)

    def recv(self, _size: int) -> bytes:
        if not self._inbox:
            raise socket.timeout("the model has nothing more to say")
        return self._inbox.popleft()


def require(condition: bool, number: int) -> None:
    """:raises OSError: with this errno, unless ``condition``."""
    if not condition:
        raise OSError(number, os.strerror(number))


def is_valid(mac: str) -> bool:
    """is_valid_ether_addr: neither multicast nor zero."""
    return not int(mac[:2], 16) & 1 and mac != "00:00:00:00:00:00"


def attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def parse(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(type, payload) of each netlink attribute."""
    start = 0
    while start + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, start)
        yield kind & 0x3FFF, data[start + 4 : start + length]
        start += (length + 3) & ~3


def link_info(data: bytes) -> tuple[str, str | None, int | None]:
    """(kind, mode, length of the broadcast queue) out of IFLA_LINKINFO."""
    info = dict(parse(data))
    of_kind = dict(parse(info.get(2, b"")))
    mode = MODES[u32(of_kind[1])] if 1 in of_kind else None
    return text(info.get(1, b"")).decode(), mode, u32(of_kind[7]) if 7 in of_kind else None


def u32(payload: bytes) -> int:
    return struct.unpack("=I", payload)[0]


def text(payload: bytes) -> bytes:
    return payload.split(b"\0")[0]
