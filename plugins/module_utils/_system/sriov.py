# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""SR-IOV: the virtual functions of a physical function, from sysfs, and what it does for them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from .._core.errors import HostError, InvalidInput
from .._core.explain import why
from .._core.identity import OF_FUNCTION, read_tag
from .._core.model import Link, Network, VirtualFunction
from .._link import message as wire
from .._traffic.virtual_function import managed, set_in
from . import sysfs
from .rtnetlink import Netlink

# linux/rtnetlink.h
_RTM_GETLINK, _RTM_SETLINK = 18, 19
#: RTEXT_FILTER_VF and RTEXT_FILTER_SKIP_STATS
_WITH_FUNCTIONS = 1 | 8
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
    number = _number(device) if owners else None
    return "" if number is None else f"ip link set dev {owners[0]} vf {number} trust on"


def _number(device: str) -> int | None:
    """Which virtual function of its physical function a device is, None = it is none."""
    for entry in _list(os.path.join(device, "physfn")):
        match = _VIRTFN.fullmatch(entry)
        if match and os.path.samefile(os.path.join(device, "physfn", entry), device):
            return int(match[1])
    return None


def virtual_functions(
    netlink: Netlink, links: Mapping[int, Link], owners: Mapping[int, int]
) -> dict[int, VirtualFunction]:
    """ifindex of each virtual function → what its physical function does for it.

    :arg owners: from :func:`physical_functions`.
    """
    if not owners:
        return {}
    body = wire.body(0, wire.nla_u32(wire.IFLA_EXT_MASK, _WITH_FUNCTIONS))
    found = dict(netlink.listed(_RTM_GETLINK, body, wire.decode_vfs))
    numbered = ((index, owner, _number_of(links[index])) for index, owner in owners.items())
    return {
        index: found[owner][number]
        for index, owner, number in numbered
        if number is not None and number in found.get(owner, {})
    }


def _number_of(link: Link) -> int | None:
    return _number(os.path.join(sysfs.root(), "class/net", link.name, "device"))


def with_functions(links: dict[int, Link], functions: Mapping[int, VirtualFunction]) -> None:
    """Say of each link for which something was set on its virtual function what that is now."""
    for index, link in list(links.items()):
        tag = read_tag(link.alias) if OF_FUNCTION in link.alias else None
        current = functions.get(link.lower)
        if tag is not None and current is not None and link.mode == "passthrough":
            links[index] = link._replace(vf=managed(current, tag.vf))


def set_up(netlink: Netlink, wanted: Iterable[tuple[int, VirtualFunction | None]]) -> None:
    """Have physical functions do this for their virtual functions.

    :arg wanted: ifindex of a virtual function, and what for it; one that is gone needs nothing.
    :raises HostError: naming what a physical function refused.
    """
    asked = [(index, function) for index, function in wanted if function is not None]
    if not asked:
        return
    links = netlink.links()
    owners = physical_functions(links)
    for index, function in asked:
        number = _number_of(links[index]) if index in owners else None
        if number is None:
            continue
        for name, value in set_in(function).items():
            body = wire.body(owners[index], wire.nla_vf(number, name, int(value)))
            reply = netlink.exchange([(_RTM_SETLINK, body)])[0]
            if reply.errno:
                raise HostError(
                    f"cannot set {name} of {links[index].name}, virtual function {number} of"
                    f" {links[owners[index]].name}: {why(*reply)}",
                    reply.errno,
                )


def _list(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []
