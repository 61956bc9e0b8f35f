# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Links as the rows of a result: what a playbook author gets back."""

from __future__ import annotations

import functools
import grp
import pwd
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Callable

from .._core.identity import read_tag
from .._core.model import (
    Attachment,
    Holder,
    Link,
    Network,
    NodePolicy,
    OwnerTag,
    PortGroup,
    Tap,
    placed,
)
from .._libvirt.interface import interface_xml
from .._link import host_link
from .._link.attributes import NODE_OPTIONS, OPTIONS, link_state, requested
from .._link.host import Host
from .._link.inherit import DEFAULTS, OF_PORTGROUP, vlans_of
from .._link.steps import DeleteLink
from .._traffic.virtual_function import former

#: of a node that the kernel or we make, unless the options say otherwise
_FRESH_NODE = (0, 0, 0o600)


def wanted_row(attachment: Attachment, taps: Mapping[int, Tap], policy: NodePolicy) -> dict[str, Any]:
    """An attachment as it is or, in check mode, as it would be (then a new tap's device number is not known yet)."""
    tap = taps.get(attachment.found.ifindex) if attachment.found is not None else None
    tag = read_tag(attachment.link.alias)
    node = tap.own_node if tap is not None else None
    owner = (attachment.policy or policy).owner((node.uid, node.gid, node.mode) if node is not None else _FRESH_NODE)
    row = _row(attachment.link, tag, placed(attachment.device, attachment.vlan), tap, owner, policy)
    xml = interface_xml(row["mac"], row["ifname"], row["queues"], attachment.hardware)
    return {**row, "libvirt_xml": xml}


def found_row(link: Link, host: Host, tap: Tap | None, policy: NodePolicy) -> dict[str, Any]:
    """A link as it is; ``guest`` and the like are null when it is not ours, node facts when there is no such node."""
    return _as_it_is(link, host.tag(link), placed(host.device_name(link), host.vlan_of(link)), tap, policy)


def deleted_row(step: DeleteLink, policy: NodePolicy) -> dict[str, Any]:
    """A link as it was before the step."""
    return _as_it_is(step.link, read_tag(step.link.alias), placed(step.device, step.vlan), step.tap, policy)


def _as_it_is(
    link: Link, tag: OwnerTag | None, where: Mapping[str, Any], tap: Tap | None, policy: NodePolicy
) -> dict[str, Any]:
    node = tap.own_node if tap is not None else None
    owner = (node.uid, node.gid, node.mode) if node is not None else (None, None, None)
    return _row(link, tag, where, tap, owner, policy)


def _row(
    link: Link,
    tag: OwnerTag | None,
    where: Mapping[str, Any],
    tap: Tap | None,
    owner: Sequence[int | None],
    policy: NodePolicy,
) -> dict[str, Any]:
    number = tap.number if tap is not None else None
    queues = tag.queues if tag else 1
    return {
        "guest": tag.guest if tag else None,
        "nic": tag.nic if tag else None,
        "network": tag.network if tag else None,
        "ifname": link.name,
        "ifindex": link.ifindex,
        "mac": link.mac,
        "mode": link.mode,
        **where,
        "queues": queues,
        **{option.name: option.show(link) for option in OPTIONS},
        "vf_before": (former(tag.vf) or None) if tag else None,
        "requested": requested(tag),
        "tap_path": policy.path(link.ifindex),
        "tap_major": number[0] if number else None,
        "tap_minor": number[1] if number else None,
        **{
            option.key: None if value is None else shown(value)
            for option, value, shown in zip(NODE_OPTIONS, owner, _NODE_VALUES)
        },
        "libvirt_xml": interface_xml(link.mac, link.name, queues),
    }


def holder_row(holder: Holder) -> dict[str, Any]:
    """A process that has a tap open."""
    return {"pid": holder.pid, "command": holder.command, "user": _user_name(holder.uid)}


@functools.cache
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


@functools.cache
def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


#: how a result has owner, group and permission bits of a node
_NODE_VALUES: tuple[Callable[[int], str], ...] = (_user_name, _group_name, "{:04o}".format)


def network_row(name: str, network: Network | None, host: Host, path: str, xml: str | None) -> dict[str, Any]:
    """A network with its lower devices as they are; facts of a device the host does not have are null.

    :arg network: None = not, or not usably, defined.
    """
    return {
        "name": name,
        "mode": network.mode if network else None,
        "devices": [_device_row(device, host, vlans_of(network)) for device in network.devices] if network else [],
        **{default.name: network.settings.get(default.name) if network else None for default in DEFAULTS},
        "portgroups": [_portgroup_row(group) for group in network.portgroups] if network else [],
        "path": path,
        "xml": xml,
        "host_link": host_link.as_it_is(name, host).row(),
    }


def _portgroup_row(group: PortGroup) -> dict[str, Any]:
    settings = {default.name: group.settings.get(default.name) for default in OF_PORTGROUP}
    return {"name": group.name, "default": group.default, **settings}


def _device_row(name: str, host: Host, vlans: Iterable[int]) -> dict[str, Any]:
    """:arg vlans: those of the network, whose links count with those on the device itself."""
    link = host.device(name)
    lowers = [link, *(host.vlan_device(link.ifindex, vlan) for vlan in vlans)] if link else []
    on_it = [other for lower in lowers if lower is not None for other in host.on_device(lower.ifindex)]
    return {
        "name": link.name if link else name,
        "given": name,
        "ifindex": link.ifindex if link else None,
        "mac": link.mac if link else None,
        "mtu": link.mtu if link else None,
        "link_state": link_state(link) if link else None,
        "operstate": link.operstate if link else None,
        "attachments": len([other for other in on_it if other.is_macvtap]),
    }
