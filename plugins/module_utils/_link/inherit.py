# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What a NIC has from its port group and its network. PURE.

A NIC's own value wins over that of its port group, and that over the value of its network. A value is taken whole: the
parts of two dictionaries are never mixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

from .._core.errors import InvalidInput
from .._core.model import VLANS, Network, Nic, PortGroup
from .._core.names import shown
from .._traffic import bandwidth, guard
from .attributes import OPTIONS


class Default(NamedTuple):
    """An option of a NIC that its network can set for it."""

    name: str
    #: for AnsibleModule
    spec: Mapping[str, Any]
    #: of a value that is not None, and what to call it in messages; raises InvalidInput
    check: Callable[[Any, str], None]
    #: whether a port group can set it too
    is_of_portgroup: bool = True


def _number_among(allowed: range) -> Callable[[Any, str], None]:
    def check(value: Any, where: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
            raise InvalidInput(f"{where} {shown(value)} is not possible; it must be {allowed[0]} to {allowed[-1]}")

    return check


_QUEUES = next(option.allowed for option in OPTIONS if option.name == "broadcast_queue")

#: in the order of results
DEFAULTS = (
    Default("vlan", {"type": "int"}, _number_among(VLANS)),
    Default("bandwidth", bandwidth.SPEC, bandwidth.check),
    Default("guard", guard.SPEC, guard.check),
    Default("broadcast_queue", {"type": "int"}, _number_among(_QUEUES), is_of_portgroup=False),
)
OF_PORTGROUP = tuple(default for default in DEFAULTS if default.is_of_portgroup)


def checked(values: Mapping[str, Any], where: str, is_portgroup: bool = False) -> dict[str, Any]:
    """The values of :data:`DEFAULTS` that are set.

    :arg where: whose they are, for messages: "network 'vepanet'".
    :raises InvalidInput: naming the option and its value, or an option that cannot be set there.
    """
    known = {default.name: default for default in (OF_PORTGROUP if is_portgroup else DEFAULTS)}
    found = {}
    for name, value in values.items():
        if name not in known:
            raise InvalidInput(f"{where} has the unknown setting {shown(name)}; remove it, or update the collection")
        if value is not None:
            known[name].check(value, f"{where}: {name}")
            found[name] = value
    return found


def vlans_of(network: Network) -> set[int]:
    """The VLANs of a network and of its port groups."""
    settings = [network.settings, *(group.settings for group in network.portgroups)]
    return {each["vlan"] for each in settings if each.get("vlan") is not None}


def choose_portgroup(network: Network, name: str | None) -> PortGroup | None:
    """The port group a NIC gets: the one it names, else the default one, else none.

    :raises InvalidInput: the network has no port group of that name (libvirt would silently use none).
    """
    if name is None:
        return next((group for group in network.portgroups if group.default), None)
    for group in network.portgroups:
        if group.name == name:
            return group
    known = ", ".join(shown(group.name) for group in network.portgroups) or "none"
    raise InvalidInput(
        f"network {shown(network.name)} has no port group {shown(name)} (it has: {known});"
        " name one of these or leave portgroup out"
    )


def inherited(nic: Nic, network: Network | None) -> Nic:
    """The NIC with what its port group and its network set, where it does not ask for another value itself.

    :arg network: None = it is on no network that is defined here.
    :raises InvalidInput: as :func:`choose_portgroup`, from a NIC that is to be placed on the network.
    """
    if network is None:
        return nic
    named = nic.portgroup
    if nic.device is not None and named not in {group.name for group in network.portgroups}:
        # a guest that runs under libvirt: placed already, by a definition that may be another one
        named = None
    group = choose_portgroup(network, named) if network.portgroups or network.xml is not None else None
    own = {name: value for name, value in nic.settings.items() if value is not None}
    return nic._replace(settings={**network.settings, **(group.settings if group else {}), **own})
