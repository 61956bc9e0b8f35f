# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""SR-IOV: the virtual functions of a physical function, from sysfs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from .._core.errors import InvalidInput
from .._core.model import Link, Network
from . import sysfs

_VIRTFN = re.compile(r"virtfn(\d+)")


def with_devices(network: Network, root: str | None = None) -> Network:
    """``network`` with the pool that its ``<pf dev=…/>`` stands for; one without ``<pf>`` as it is.

    Documentation/ABI/testing/sysfs-bus-pci: ``virtfnN`` links to the Nth VF, whose ``net`` names its interface.

    :arg root: of the sysfs, None = that of this network namespace.
    :raises InvalidInput: no such PF, or none of its VFs is a network interface here.
    """
    if network.pf is None:
        return network
    interface = os.path.join(root or sysfs.root(), "class/net", network.pf)
    device = os.path.join(interface, "device")
    if not os.path.isdir(interface):
        raise InvalidInput(f"network {network.name!r}: physical function {network.pf!r} does not exist on this host")
    numbers = sorted(int(match.group(1)) for match in map(_VIRTFN.fullmatch, _list(device)) if match)
    devices = tuple(name for number in numbers for name in _list(os.path.join(device, f"virtfn{number}", "net")))
    if not devices:
        raise InvalidInput(
            f"network {network.name!r}: {network.pf!r} has no virtual function with a network interface; create"
            " some (sriov_numvfs), or name"
            " devices"
        )
    return network._replace(devices=devices)


def physical_functions(links: Mapping[int, Link], root: str | None = None) -> dict[int, int]:
    """ifindex of each virtual function → that of its physical function, where both are in this network namespace.

    ``physfn`` of a PCI device leads to its physical function (Documentation/ABI/testing/sysfs-bus-pci).

    :arg root: as of :func:`with_devices`.
    """
    top = os.path.join(root or sysfs.root(), "class/net")
    indexes = {link.name: link.ifindex for link in links.values() if not link.kind}
    found = {}
    for name, index in indexes.items():
        for owner in _list(os.path.join(top, name, "device/physfn/net")):
            if owner in indexes:
                found[index] = indexes[owner]
    return found


def way_to_trust(name: str, root: str | None = None) -> str:
    """How the physical function lets a virtual function have another MAC, as a command; "" = it is none.

    :arg name: of the virtual function.
    :arg root: as of :func:`with_devices`.
    """
    device = os.path.join(root or sysfs.root(), "class/net", name, "device")
    owners = _list(os.path.join(device, "physfn/net"))
    for entry in _list(os.path.join(device, "physfn")) if owners else ():
        number = _VIRTFN.fullmatch(entry)
        if number and os.path.samefile(os.path.join(device, "physfn", entry), device):
            return f"ip link set dev {owners[0]} vf {number[1]} trust on"
    return ""


def _list(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
