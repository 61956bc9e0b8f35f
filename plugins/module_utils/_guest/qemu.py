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
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from .._core.errors import InvalidInput
from .._core.model import MAX_QUEUES, MTUS
from .._core.names import check_ifname, shown
from .._system.tap_guard import guard

VHOST_PATH = "/dev/vhost-net"
#: stdin, stdout and stderr come before; systemd and every shell count on from here
FIRST_FD = 3

_PLAIN = frozenset(string.ascii_letters + string.digits + "/._-")
#: as QEMU and this collection write it
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_DEVICE_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_OUR_NETDEV = re.compile(r"tap,id=net[0-9]+,")
_OUR_DEVICE = re.compile(r"(^|,)id=nic[0-9]+(,|$)")


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

    @property
    def netdev_id(self) -> str:
        """The id of the host half, the open tap."""
        return f"net{self.nic}"

    @property
    def device_id(self) -> str:
        """The id of the guest half, the device on its bus."""
        return f"nic{self.nic}"


def nics_of(attachments: Any) -> list[QemuNic]:
    """Check attachments and bring them into QEMU's words.

    :arg attachments: list of attachments of one guest, as ``macvtap_attach`` returns them.
    :returns: one NIC per attachment, same order.
    :raises InvalidInput: something is missing or cannot be, named with its place in the list.
    """
    if isinstance(attachments, (str, bytes, Mapping)) or not isinstance(attachments, Sequence):
        raise InvalidInput("attachments must be a list of attachments (of one guest), as macvtap_attach returns them")
    nics: list[QemuNic] = []
    for position, attachment in enumerate(attachments):
        nic = _nic_of(attachment, position)
        if any(other.nic == nic.nic for other in nics):
            raise InvalidInput(
                f"attachments[{position}]: NIC {nic.nic} is there twice; pass the attachments of one guest at a time"
            )
        nics.append(nic)
    return nics


def _nic_of(attachment: Any, position: int) -> QemuNic:
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
    return QemuNic(
        nic=_integer(attachment, "nic", place, range(2**31), position),
        mac=mac,
        mtu=_integer(attachment, "mtu", place, MTUS),
        queues=_integer(attachment, "queues", place, range(1, MAX_QUEUES + 1), 1),
        tap_path=path,
        tap_number=None if major is None or minor is None else (major, minor),
        ifname=_ifname(attachment, place),
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


def check_driver(driver: str) -> None:
    """Refuse what cannot be the name of a QEMU device."""
    if not _DEVICE_NAME.fullmatch(driver):
        raise InvalidInput(f"driver {shown(driver)} is not the name of a QEMU device, like virtio-net-pci")


def fd_count(nic: QemuNic, vhost: bool) -> int:
    """How many descriptors the NIC needs: one opening of the tap per queue, and as many of vhost-net."""
    return nic.queues * (2 if vhost else 1)


def fd_paths(nic: QemuNic, vhost: bool) -> list[str]:
    """What to open for the NIC, in the order of its descriptors."""
    return [nic.tap_path] * nic.queues + [VHOST_PATH] * (nic.queues if vhost else 0)


def netdev(nic: QemuNic, fds: Sequence[Any], vhost: bool) -> dict[str, Any]:
    """The host half of a NIC.

    :arg fds: descriptor numbers (command line) or names given to ``getfd`` (QMP), as many as :func:`fd_count` says.
    """
    taps, vhosts = fds[: nic.queues], fds[nic.queues :]
    result: dict[str, Any] = {"type": "tap", "id": nic.netdev_id}
    result.update(_fd_option("fd", taps))
    if vhost:
        result["vhost"] = True
        result.update(_fd_option("vhostfd", vhosts))
    return result


def _fd_option(name: str, fds: Sequence[Any]) -> dict[str, str]:
    if len(fds) == 1:
        return {name: str(fds[0])}
    return {f"{name}s": ":".join(str(fd) for fd in fds)}


def device(nic: QemuNic, driver: str, bus: str | None = None) -> dict[str, Any]:
    """The guest half of a NIC: its MAC is the link's, because VEPA delivers to no other."""
    result: dict[str, Any] = {"driver": driver, "netdev": nic.netdev_id, "mac": nic.mac}
    if nic.mtu is not None:
        result["host_mtu"] = nic.mtu
    if nic.queues > 1:
        result["mq"] = True
        if "pci" in driver:
            # one vector per queue and direction, one for control, one for configuration changes
            result["vectors"] = 2 * nic.queues + 2
    if bus is not None:
        result["bus"] = bus
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


def nic_args(
    nics: Sequence[QemuNic],
    first_fd: int = FIRST_FD,
    vhost: bool = False,
    driver: str = "virtio-net-pci",
    buses: Mapping[str, str] | None = None,
) -> list[str]:
    """QEMU arguments for NICs whose descriptors are inherited from ``first_fd`` on, in order."""
    check_driver(driver)
    args: list[str] = []
    fd = first_fd
    for nic in nics:
        fds = range(fd, fd + fd_count(nic, vhost))
        fd = fds.stop
        bus = (buses or {}).get(nic.device_id)
        args += ["-netdev", option(netdev(nic, fds, vhost), first="type")]
        args += ["-device", option(device(nic, driver, bus), first="driver")]
    return args


def redirections(nics: Sequence[QemuNic], first_fd: int = FIRST_FD, vhost: bool = False) -> list[str]:
    """Shell redirections that open the descriptors, quoted for a POSIX shell."""
    paths = [path for nic in nics for path in fd_paths(nic, vhost)]
    return [f"{fd}<>{shlex.quote(path)}" for fd, path in enumerate(paths, first_fd)]


def tap_guard(nics: Sequence[QemuNic], first_fd: int = FIRST_FD, vhost: bool = False) -> list[str]:
    """Words in front of a command that inherits the descriptors: it starts only if each tap is that of its link."""
    taps = []
    fd = first_fd
    for nic in nics:
        taps += [(fd + queue, nic.ifname, nic.tap_path) for queue in range(nic.queues)]
        fd += fd_count(nic, vhost)
    return guard(taps)


def open_files(nics: Sequence[QemuNic], vhost: bool = False) -> list[str]:
    """Values for systemd's ``OpenFile=`` (systemd 253), which opens read-write and passes them from 3 on in order."""
    result = []
    for nic in nics:
        for queue, path in enumerate(fd_paths(nic, vhost)):
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
