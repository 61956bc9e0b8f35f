# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""SR-IOV: the virtual functions of a physical function, from sysfs."""

from __future__ import annotations

import os
import re

from .._core.errors import InvalidInput
from .._core.model import Network
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


def _list(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
