# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""VLAN devices between lower devices and links: created with the first link on them, deleted with the last. PURE.

The kernel is the only store: the alias of such a device says that it is ours, and what is on it that it is in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Union

from .._core.errors import InvalidInput
from .._core.identity import VLAN_MARK, vlan_indexes, vlan_names
from .._core.model import IFF_LOWER_UP, IFF_UP, Link
from .._core.names import MAX_IFNAME_BYTES
from .host import Host
from .host_link import CreateHostLink
from .steps import Side, Step, shown


def device_on(parent: Link, vlan: int | None, host: Host, wanted_by: str) -> Link:
    """The lower device for links in a VLAN: one that is there, or one of ours that ``host`` counts with from now on.

    :arg parent: what it is on.
    :arg vlan: its tag; None = the parent itself.
    :arg wanted_by: for messages.
    :raises InvalidInput: naming what is in the way.
    """
    if vlan is None:
        return parent
    found = host.vlan_device(parent.ifindex, vlan)
    if found is not None:
        if found.ifindex in host.wanted_vlans:
            return found
        obstacle = host.obstacle(found)
        if obstacle:
            raise InvalidInput(f"{wanted_by}: lower device {found.name!r} of VLAN {vlan} {obstacle}")
        if found.ifindex not in host.own_vlans:
            return found
    else:
        name = next(name for name in vlan_names(parent.name, vlan) if len(name.encode()) <= MAX_IFNAME_BYTES)
        _require_free_name(name, parent, vlan, host, wanted_by)
        index = next(each for each in vlan_indexes(parent.name, vlan) if each not in host.links)
        found = Link(index, name, "vlan", lower=parent.ifindex, mac=parent.mac, vlan=vlan)
    # whether it can have a carrier is that of the parent
    flags = (found.flags | IFF_UP) & ~IFF_LOWER_UP | parent.flags & IFF_LOWER_UP if parent.is_up else 0
    wanted = found._replace(alias=VLAN_MARK, group=0, mtu=parent.mtu, flags=flags)
    host.want_vlan(wanted)
    return wanted


def _require_free_name(name: str, parent: Link, vlan: int, host: Host, wanted_by: str) -> None:
    holder = host.by_name.get(name)
    if holder is not None:
        raise InvalidInput(
            f"{wanted_by}: the VLAN device for VLAN {vlan} on {parent.name} is called {name}, but that name belongs to"
            f" another link ({host.describe(holder)}); rename or delete that link"
        )


# -- steps -------------------------------------------------------------------------------------------------------------


class CreateVlan(NamedTuple):
    """Create a VLAN device, mark it as ours and bring it up."""

    link: Link
    #: name of what it is on
    device: str

    def describe(self) -> str:
        """``create VLAN device eth0.20 on eth0: VLAN 20``."""
        return f"create VLAN device {self.link.name} on {self.device}: VLAN {self.link.vlan}"

    def sides(self) -> tuple[Side, Side]:
        """Nothing, and the whole device."""
        return (self.link.name, None), (self.link.name, _one_line(self))

    def predict(self, links: dict[int, Link]) -> None:
        """It is there."""
        links[self.link.ifindex] = self.link


class ChangeVlan(NamedTuple):
    """Give a VLAN device of ours the MTU of what it is on, its mark, and bring it up."""

    old: Link
    new: Link

    def describe(self) -> str:
        """``change VLAN device eth0.20: mtu 1500 -> 9000``."""
        changes = ", ".join(f"{name} {shown(old)} -> {shown(new)}" for name, old, new in self.changes())
        return f"change VLAN device {self.old.name}: {changes}"

    def sides(self) -> tuple[Side, Side]:
        """What changes."""
        changes = self.changes()
        return (
            (self.old.name, {name: old for name, old, _new in changes}),
            (self.old.name, {name: new for name, _old, new in changes}),
        )

    def changes(self) -> list[tuple[str, Any, Any]]:
        """Name, old and new value of what differs."""
        facts: list[tuple[str, Any, Any]] = [
            ("mark", self.old.alias, self.new.alias),
            ("mtu", self.old.mtu, self.new.mtu),
            ("link_state", _state(self.old), _state(self.new)),
        ]
        return [(name, old, new) for name, old, new in facts if old != new]

    def predict(self, links: dict[int, Link]) -> None:
        """It is changed."""
        links[self.old.ifindex] = self.new


class DeleteVlan(NamedTuple):
    """Delete a VLAN device of ours that nothing uses any more."""

    link: Link
    device: str

    def describe(self) -> str:
        """``delete VLAN device eth0.20 on eth0: nothing uses it any more``."""
        return f"delete VLAN device {self.link.name} on {self.device}: nothing uses it any more"

    def sides(self) -> tuple[Side, Side]:
        """The whole device, and nothing."""
        return (self.link.name, _one_line(self)), (self.link.name, None)

    def predict(self, links: dict[int, Link]) -> None:
        """It is gone."""
        links.pop(self.link.ifindex, None)


VlanStep = Union[CreateVlan, ChangeVlan, DeleteVlan]


def plan(host: Host, steps: Sequence[Step]) -> tuple[list[Union[CreateVlan, ChangeVlan]], list[DeleteVlan]]:
    """The steps before and after those that change links: the VLAN devices that they need, and those left unused.

    :arg host: as the decision took it; what it counted with and no link is put on, it forgets.
    """
    if not host.wanted_vlans and not host.own_vlans:
        return [], []
    links = dict(host.links)
    for step in steps:
        step.predict(links)
    # what is created there has no index before the kernel chooses one
    met = {step.link.lower for step in steps if isinstance(step, CreateHostLink)}
    used = {link.lower for link in links.values() if link.lower_netnsid is None} | met
    first: list[Union[CreateVlan, ChangeVlan]] = []
    for wanted in list(host.wanted_vlans.values()):
        found, up = host.own_vlans.get(wanted.ifindex), wanted._replace(flags=wanted.flags | IFF_UP)
        if wanted.ifindex not in used:
            if found is None:
                host.forget_vlan(wanted)
        elif found is None:
            first.append(CreateVlan(up, host.device_name(wanted)))
        elif ChangeVlan(found, up).changes():
            first.append(ChangeVlan(found, up))
    return first, [DeleteVlan(link, host.device_name(link)) for link in host.unused_vlans(links, met)]


def _one_line(step: CreateVlan | DeleteVlan) -> str:
    link = step.link
    return f"[{link.alias}] vlan={link.vlan} device={step.device} mtu={link.mtu}"


def _state(link: Link) -> str:
    return "up" if link.is_up else "down"
