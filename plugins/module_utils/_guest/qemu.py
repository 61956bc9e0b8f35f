# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Attachments and guests in QEMU's words. PURE: imports nothing that touches a host.

One NIC is two QEMU objects: the *netdev* (``net0``: the open tap) and the *device* in the guest (``nic0``). Both are
made here as plain dictionaries, which become command line options (:func:`option`) or QMP arguments (as they are).
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from .._core.errors import InvalidInput
from .._core.model import MAX_QUEUES, MTUS
from .._core.names import check_ifname, shown
from .._system.tap_guard import guard

VHOST_PATH = "/dev/vhost-net"
DRIVER = "virtio-net-pci"
#: stdin, stdout and stderr come before; systemd and every shell count on from here
FIRST_FD = 3

_PLAIN = frozenset(string.ascii_letters + string.digits + "/._-")
#: as QEMU and this collection write it
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_DEVICE_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_OUR_NETDEV = re.compile(r"tap,id=net[0-9]+,")
_OUR_DEVICE = re.compile(r"(^|,)id=nic[0-9]+(,|$)")
#: names that QEMU knows a model by beside its own (qdev_alias_table, softmmu/qdev-monitor.c), where they differ
_ALIASES = {"e1000-82540em": "e1000", "virtio-net": ""}
#: how many NICs of a q35 machine can be plugged and unplugged while it runs, and the slots where their ports begin
_ROOT_PORTS, _FIRST_SLOT = 16, 0x10
_Q35 = re.compile(r'-machine "?(type=)?(pc-)?q35\b')
_OUR_PORT = re.compile(r"pcie-root-port,id=(nicport[0-9]+),")
#: models that are on another bus than PCI
_NO_PCI = ("virtio-net-device", "virtio-net-ccw", "ne2k_isa", "usb-net")


class QemuNic(NamedTuple):
    """One guest NIC as far as QEMU has to know it."""

    nic: int
    mac: str
    #: bytes, told to the guest as ``host_mtu``; None = not told
    mtu: int | None
    queues: int
    tap_path: str
    #: device number of the tap, or None where it is only predicted (check mode)
    tap_number: tuple[int, int] | None
    ifname: str | None = None
    #: the model, a name of a QEMU device
    driver: str = DRIVER
    #: whether the kernel moves its frames
    vhost: bool = False
    #: whether the guest sees a carrier
    link_up: bool = True

    @property
    def netdev_id(self) -> str:
        """The id of the host half, the open tap."""
        return f"net{self.nic}"

    @property
    def device_id(self) -> str:
        """The id of the guest half, the device on its bus."""
        return f"nic{self.nic}"

    @property
    def port_id(self) -> str:
        """The id of the root port that :func:`root_ports` has for it."""
        return f"nicport{self.nic}"

    @property
    def qom_type(self) -> str:
        """QEMU's own name of the model; "" where that depends on the machine."""
        return _ALIASES.get(self.driver, self.driver)

    def is_model(self, name: str) -> bool:
        """Whether QEMU's name of a live device is that of the model."""
        return name == self.qom_type or (not self.qom_type and name.startswith("virtio-net-"))


def is_virtio(driver: str) -> bool:
    """Whether a model has several queues, is told the MTU, and can have its frames moved by the kernel: no other."""
    return driver.startswith("virtio-net")


def nics_of(attachments: Any, driver: str = DRIVER, vhost: bool = False) -> list[QemuNic]:
    """Check attachments and bring them into QEMU's words.

    :arg attachments: list of attachments of one guest, as ``macvtap_attach`` returns them; ``driver`` in one is its
        model.
    :arg driver: the model of the others.
    :arg vhost: whether the kernel moves the frames of the models that know it.
    :returns: one NIC per attachment, same order.
    :raises InvalidInput: something is missing or cannot be, named with its place in the list.
    """
    if isinstance(attachments, (str, bytes, Mapping)) or not isinstance(attachments, Sequence):
        raise InvalidInput("attachments must be a list of attachments (of one guest), as macvtap_attach returns them")
    check_driver(driver)
    nics: list[QemuNic] = []
    for position, attachment in enumerate(attachments):
        nic = _nic_of(attachment, position, driver, vhost)
        if any(other.nic == nic.nic for other in nics):
            raise InvalidInput(
                f"attachments[{position}]: NIC {nic.nic} is there twice; pass the attachments of one guest at a time"
            )
        nics.append(nic)
    return nics


def _nic_of(attachment: Any, position: int, driver: str, vhost: bool) -> QemuNic:
    place = f"attachments[{position}]"
    if not isinstance(attachment, Mapping):
        raise InvalidInput(f"{place} must be an attachment (a dictionary), not {shown(attachment)}")
    for key in ("mac", "tap_path"):
        if not attachment.get(key):
            raise InvalidInput(f"{place} has no {key}; pass attachments as macvtap_attach returns them")
    mac = str(attachment["mac"]).lower()
    if not MAC.fullmatch(mac):
        raise InvalidInput(f"{place}: mac {shown(attachment['mac'])} is not a MAC address like 02:00:00:00:00:01")
    path = str(attachment["tap_path"])
    if not path.startswith("/") or not path.isprintable():
        raise InvalidInput(f"{place}: tap_path {shown(path)} is not an absolute path of printable characters")
    major = _integer(attachment, "tap_major", place, range(2**12))
    minor = _integer(attachment, "tap_minor", place, range(2**20))
    driver = str(attachment.get("driver") or driver)
    check_driver(driver, f"{place}: ")
    queues = _integer(attachment, "queues", place, range(1, MAX_QUEUES + 1), 1)
    if queues > 1 and not is_virtio(driver):
        raise InvalidInput(
            f"{place}: driver {driver} has one queue, and the tap {queues}, so that the guest would lose frames; choose"
            " a virtio-net driver, or attach the NIC with queues: 1"
        )
    return QemuNic(
        nic=_integer(attachment, "nic", place, range(2**31), position),
        mac=mac,
        mtu=_integer(attachment, "mtu", place, MTUS),
        queues=queues,
        tap_path=path,
        tap_number=None if major is None or minor is None else (major, minor),
        ifname=_ifname(attachment, place),
        driver=driver,
        vhost=vhost and is_virtio(driver),
        link_up=attachment.get("link_state") != "down",
    )


def _ifname(attachment: Mapping, place: str) -> str | None:
    try:
        return check_ifname(attachment["ifname"], "ifname") if attachment.get("ifname") else None
    except InvalidInput as exc:
        raise InvalidInput(f"{place}: {exc}") from exc


def _integer(attachment: Mapping, key: str, place: str, allowed: range, default: int | None = None) -> Any:
    value = attachment.get(key)
    if value is None:
        return default
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise InvalidInput(f"{place}: {key} {shown(value)} is not a number") from None
    if number not in allowed:
        raise InvalidInput(f"{place}: {key} {number} is not between {allowed[0]} and {allowed[-1]}")
    return number


def check_driver(driver: str, place: str = "") -> None:
    """Refuse what cannot be the name of a QEMU device."""
    if not _DEVICE_NAME.fullmatch(driver):
        raise InvalidInput(f"{place}driver {shown(driver)} is not the name of a QEMU device, like virtio-net-pci")


def fd_paths(nic: QemuNic) -> list[str]:
    """What to open for the NIC, in the order of its descriptors: the tap once per queue, vhost-net as often."""
    return [nic.tap_path] * nic.queues + [VHOST_PATH] * (nic.queues if nic.vhost else 0)


def netdev(nic: QemuNic, fds: Sequence[Any]) -> dict[str, Any]:
    """The host half of a NIC.

    :arg fds: descriptor numbers (command line) or names given to ``getfd`` (QMP), one for each of :func:`fd_paths`.
    """
    taps, vhosts = fds[: nic.queues], fds[nic.queues :]
    result: dict[str, Any] = {"type": "tap", "id": nic.netdev_id}
    result.update(_fd_option("fd", taps))
    if nic.vhost:
        result["vhost"] = True
        result.update(_fd_option("vhostfd", vhosts))
    return result


def _fd_option(name: str, fds: Sequence[Any]) -> dict[str, str]:
    if len(fds) == 1:
        return {name: str(fds[0])}
    return {f"{name}s": ":".join(str(fd) for fd in fds)}


def device(nic: QemuNic, ports: Collection[str] = ()) -> dict[str, Any]:
    """The guest half of a NIC: its MAC is the link's, because VEPA delivers to no other.

    :arg ports: ids of the root ports of the machine; a NIC with one of its own is on it, where it can be unplugged.
    """
    result: dict[str, Any] = {"driver": nic.driver, "netdev": nic.netdev_id, "mac": nic.mac}
    if nic.mtu is not None and is_virtio(nic.driver):
        result["host_mtu"] = nic.mtu
    if nic.queues > 1:
        result["mq"] = True
        if "pci" in nic.driver:
            # one vector per queue and direction, one for control, one for configuration changes
            result["vectors"] = 2 * nic.queues + 2
    if nic.port_id in ports and nic.driver not in _NO_PCI:
        result["bus"] = nic.port_id
    result["id"] = nic.device_id
    return result


def option(values: Mapping[str, Any], first: str | None = None) -> str:
    """A dictionary as QEMU's ``key=value,…``; the value of ``first`` stands alone in front. A comma is doubled."""
    words = []
    for key, value in values.items():
        text = "on" if value is True else "off" if value is False else str(value)
        text = text.replace(",", ",,")
        words.append(text if key == first else f"{key}={text}")
    return ",".join(words)


def root_ports(machine: str | None) -> list[str]:
    """Arguments for the root ports of a machine whose PCI bus takes NICs at its start only, one for each NIC.

    They share slots, eight in each, that QEMU itself gives to nothing.
    """
    if not _Q35.search(f"-machine {machine}"):
        return []
    args = []
    for number in range(_ROOT_PORTS):
        slot, function = divmod(number, 8)
        values = {"driver": "pcie-root-port", "id": f"nicport{number}", "chassis": number + 1}
        values.update(addr=f"0x{_FIRST_SLOT + slot:x}.0x{function}", multifunction=not function)
        args += ["-device", option(values, first="driver")]
    return args


def keeps_its_bus(command: str) -> bool:
    """Whether a command line, or a unit with one, is of a machine that 1.0 started without root ports.

    They would move its NICs to other places of the bus, after which many systems name them.
    """
    return _Q35.search(command) is not None and not ports_in(command)


def ports_in(command: str) -> list[str]:
    """The ids of the root ports that :func:`root_ports` gave a command line, or a unit with one."""
    return _OUR_PORT.findall(command)


def nic_args(nics: Sequence[QemuNic], first_fd: int = FIRST_FD, ports: Collection[str] = ()) -> list[str]:
    """QEMU arguments for NICs whose descriptors are inherited from ``first_fd`` on, in order.

    :arg ports: as for :func:`device`.
    """
    args: list[str] = []
    fd = first_fd
    for nic in nics:
        fds = range(fd, fd + len(fd_paths(nic)))
        fd = fds.stop
        args += ["-netdev", option(netdev(nic, fds), first="type")]
        args += ["-device", option(device(nic, ports), first="driver")]
    return args


def redirections(nics: Sequence[QemuNic], first_fd: int = FIRST_FD) -> list[str]:
    """Shell redirections that open the descriptors, quoted for a POSIX shell."""
    paths = [path for nic in nics for path in fd_paths(nic)]
    return [f"{fd}<>{shlex.quote(path)}" for fd, path in enumerate(paths, first_fd)]


def tap_guard(nics: Sequence[QemuNic], first_fd: int = FIRST_FD) -> list[str]:
    """Words in front of a command that inherits the descriptors: it starts only if each tap is that of its link."""
    taps = []
    fd = first_fd
    for nic in nics:
        taps += [(fd + queue, nic.ifname, nic.tap_path) for queue in range(nic.queues)]
        fd += len(fd_paths(nic))
    return guard(taps)


def open_files(nics: Sequence[QemuNic]) -> list[str]:
    """Values for systemd's ``OpenFile=`` (systemd 253), which opens read-write and passes them from 3 on in order."""
    result = []
    for nic in nics:
        for queue, path in enumerate(fd_paths(nic)):
            result.append(f"{_unit_path(path)}:{nic.netdev_id}-{queue}")
    return result


def _unit_path(path: str) -> str:
    """A path in ``OpenFile=``, where a colon ends it and a backslash escapes."""
    if "%" in path:
        raise InvalidInput(f"tap_path {shown(path)} has a %, which systemd would expand; choose another device_dir")
    return "".join(chr(byte) if chr(byte) in _PLAIN else f"\\x{byte:02x}" for byte in path.encode())


def without_nics(args: Sequence[str]) -> list[str]:
    """A command line without the arguments that :func:`nic_args` made."""
    result: list[str] = []
    position = 0
    while position < len(args):
        pair = list(args[position : position + 2])
        ours = len(pair) == 2 and (
            (pair[0] == "-netdev" and _OUR_NETDEV.match(pair[1]))
            or (pair[0] == "-device" and _OUR_DEVICE.search(pair[1]))
        )
        if not ours:
            result.append(args[position])
        position += 2 if ours else 1
    return result
