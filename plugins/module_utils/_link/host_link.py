# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The host link of a network: a macvlan of the host beside its guests, so that both reach each other. PURE.

The kernel is the only store: the alias of the link names the network, and the link has its MAC and addresses.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from .._core import names
from .._core.errors import InvalidInput
from .._core.identity import derived_macs, host_tag_text
from .._core.model import IFF_UP, Link, Vlan, placed
from .host import Host
from .steps import Side, shown

if TYPE_CHECKING:
    from ipaddress import IPv4Interface, IPv6Interface

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
#: of the names derived for host links
_PREFIX = "mvh-"
#: why there is no host link in a mode
_REASONS = {
    "vepa": "in mode vepa all frames go to the switch, and none from link to link",
    "private": "in mode private no frame goes from link to link",
    "passthrough": "in mode passthrough one guest has the lower device, and no other link can be on it",
}


class HostLink(NamedTuple):
    """A host link as it is asked for."""

    #: None = derived from the name of the network
    ifname: str | None = None
    #: None = derived from the name of the network
    mac: str | None = None
    #: with their prefix lengths; None = as they are
    addresses: tuple[str, ...] | None = None


class Wanted(NamedTuple):
    """A host link with everything decided; ``link`` None = there is to be none."""

    link: Link | None = None
    #: the link as it is
    found: Link | None = None
    #: name of the lower device
    device: str = ""
    addresses: tuple[str, ...] = ()
    vlan: Vlan | None = None

    def row(self) -> dict[str, Any] | None:
        """As results have it."""
        if self.link is None:
            return None
        facts = {"ifname": self.link.name, "mac": self.link.mac, **placed(self.device, self.vlan)}
        return {**facts, "addresses": list(self.addresses)}


def host_link(option: Mapping[str, Any]) -> HostLink | None:
    """The option ``host_link``; None = the network is to have none.

    :raises InvalidInput: naming the value.
    """
    ifname, mac, addresses = (option[key] for key in ("ifname", "mac", "addresses"))
    if (ifname, mac, addresses) == (None, None, None):
        return None
    return HostLink(
        None if ifname is None else names.check_ifname(ifname, "ifname of host_link"),
        None if mac is None else names.check_mac(mac),
        None if addresses is None else checked_addresses(addresses),
    )


def checked_addresses(values: Sequence[str]) -> tuple[str, ...]:
    """:returns: the addresses in one spelling.

    :raises InvalidInput: naming one that a host cannot have, or that is there twice.
    """
    seen: dict[Any, str] = {}
    for value in values:
        interface = _interface(value)
        if seen.setdefault(interface.ip, value) is not value:
            raise InvalidInput(f"addresses of host_link list {interface.ip} twice; list it once")
    return tuple(_interface(value).with_prefixlen for value in values)


def _interface(value: str) -> IPv4Interface | IPv6Interface:
    """:raises InvalidInput: no host can have the address."""
    # imported here, since only host links need it
    import ipaddress

    try:
        interface = ipaddress.ip_interface(value)
    except ValueError as exc:
        raise InvalidInput(f"addresses of host_link: {exc}; write it like 192.0.2.10/24") from exc
    ip, net = interface.ip, interface.network
    ends = (net.network_address, net.broadcast_address) if ip.version == 4 and net.prefixlen < 31 else ()
    wrong = (
        "has no prefix length"
        if "/" not in value
        else "is a multicast address, which a link cannot have"
        if ip.is_multicast
        else "is the unspecified or a loopback address"
        if ip.is_unspecified or ip.is_loopback
        else "is the network or broadcast address of its subnet"
        if ip in ends
        else ""
    )
    if wrong:
        raise InvalidInput(f"addresses of host_link: {names.shown(value)} {wrong}; write one like 192.0.2.10/24")
    return interface


def decide(
    network: str,
    mode: str,
    pool: Sequence[Link],
    option: HostLink | None,
    host: Host,
    moving: Collection[int] = (),
) -> Wanted:
    """The host link that a network is to have, on the first device of its pool with a carrier, or where it is.

    :arg option: None = one that exists stays as it is, and follows the pool.
    :arg moving: ifindexes of links that the same plan creates again.
    :raises InvalidInput, Refused: naming what is in the way.
    """
    found = host.host_links.get(network)
    if option is None and found is None:
        return Wanted()
    if mode != "bridge":
        way_out = "set host_link: {} to remove it" if option is None else "use mode bridge"
        raise InvalidInput(f"network {network!r} cannot have a host link: {_REASONS[mode]}; {way_out}")
    now = as_it_is(network, host)
    if option is None and now.link is not None:
        option = HostLink(now.link.name, now.link.mac, now.addresses)
    option = option or HostLink()
    label = f"host link of network {network!r}"
    stays = [each for each in pool if found is not None and each.ifindex == found.lower]
    device = next(iter([*stays, *(each for each in pool if each.has_carrier), *pool]))
    host.require_alone(device, mode, {*moving, *([found.ifindex] if found is not None else [])}, label)
    name = option.ifname or derived_name(network)
    found = found or _untagged(name, network, option, device, host)
    if found is None or found.name != name:
        _require_free_name(name, label, host)
    mac = _mac(network, option.mac, device, found, host)
    index = found.ifindex if found is not None else 0
    alias = host_tag_text(network)
    link = Link(index, name, "macvlan", mode, device.ifindex, None, mac, flags=IFF_UP, alias=alias)
    addresses = now.addresses if option.addresses is None else option.addresses
    return Wanted(link, found, device.name, addresses, host.vlan_of(link))


def as_it_is(network: str, host: Host) -> Wanted:
    """The host link that a network has, to stay so."""
    link = host.host_links.get(network)
    if link is None:
        return Wanted()
    return Wanted(link, link, host.device_name(link), host.addresses.get(link.ifindex, ()), host.vlan_of(link))


def derived_name(network: str) -> str:
    """The name of a host link that asks for none: that of the network, where it fits a link."""
    name = _PREFIX + network
    if len(name) <= names.MAX_IFNAME_BYTES and _PLAIN.fullmatch(network):
        return name
    return _PREFIX + next(_macs(network)).replace(":", "")[2:]


def _macs(network: str) -> Iterator[str]:
    # no guest has such a name
    return derived_macs("02", f"\0host link of {network}", 0)


def _mac(network: str, asked: str | None, device: Link, found: Link | None, host: Host) -> str:
    """The MAC asked for, or the first derived one that no other link has."""
    index = found.ifindex if found is not None else 0
    if asked is None:
        taken = {link.mac for link in host.links.values() if link.ifindex != index}
        if found is not None and found.mac in _macs(network) and found.mac not in taken:
            return found.mac
        return next(mac for mac in _macs(network) if mac not in taken)
    for other in (device, *host.on_device(device.ifindex)):
        if other.mac == asked and other.ifindex != index:
            raise InvalidInput(
                f"host link of network {network!r}: MAC {asked} is already in use on {device.name} by"
                f" {host.describe(other)}; choose another MAC"
            )
    return asked


def _untagged(name: str, network: str, option: HostLink, device: Link, host: Host) -> Link | None:
    """One that a killed run had no time to tag."""
    link = host.by_name.get(name)
    if link is None or (link.kind, link.lower, link.alias) != ("macvlan", device.ifindex, ""):
        return None
    return link if link.mac in ([option.mac] if option.mac else _macs(network)) else None


def _require_free_name(name: str, label: str, host: Host) -> None:
    holder = host.by_name.get(name)
    if holder is None:
        return
    if holder.name != name:
        raise InvalidInput(
            f"{label}: the name {name} is an alternative name of {holder.name}; choose another ifname, or remove that"
            f" name: ip link property del dev {holder.name} altname {name}"
        )
    raise InvalidInput(
        f"{label}: the name {name} belongs to another link ({host.describe(holder)}); choose another ifname"
    )


# -- steps -------------------------------------------------------------------------------------------------------------


class DeleteHostLink(NamedTuple):
    """Delete the host link of a network, with its addresses."""

    link: Link
    network: str
    #: name of the lower device
    device: str
    addresses: tuple[str, ...]
    #: the change that a live link cannot take, in words, when the same plan creates it again
    because: str = ""

    def describe(self) -> str:
        """``delete host link mvh-vepanet of network vepanet``."""
        again = f" to create it again: {self.because}" if self.because else ""
        return f"delete host link {self.link.name} of network {self.network}{again}"

    def sides(self) -> tuple[Side, Side]:
        """The whole link, and nothing."""
        return (self.link.name, _one_line(self)), (self.link.name, None)

    def predict(self, links: dict[int, Link]) -> None:
        """It is gone."""
        links.pop(self.link.ifindex, None)


class CreateHostLink(NamedTuple):
    """Create the host link of a network, tag it, give it its addresses and bring it up."""

    link: Link
    network: str
    device: str
    addresses: tuple[str, ...]

    def describe(self) -> str:
        """``create host link mvh-vepanet of network vepanet on eth0: MAC 02:…, 192.0.2.10/24``."""
        facts = ", ".join([f"MAC {self.link.mac}", *self.addresses])
        return f"create host link {self.link.name} of network {self.network} on {self.device}: {facts}"

    def sides(self) -> tuple[Side, Side]:
        """Nothing, and the whole link."""
        return (self.link.name, None), (self.link.name, _one_line(self))

    def predict(self, links: dict[int, Link]) -> None:
        """No other link changes, and the kernel chooses its ifindex."""


class ChangeHostLink(NamedTuple):
    """Set MAC, mode, owner tag, state and addresses of a host link that is there."""

    old: Link
    new: Link
    network: str
    #: those that it has, and that it is to have
    before: tuple[str, ...]
    after: tuple[str, ...]

    def describe(self) -> str:
        """``change host link mvh-vepanet of network vepanet: link_state down -> up``."""
        changes = ", ".join(f"{name} {shown(old)} -> {shown(new)}" for name, old, new in self.changes())
        return f"change host link {self.old.name} of network {self.network}: {changes}"

    def sides(self) -> tuple[Side, Side]:
        """What changes."""
        changes = list(self.changes())
        return (
            (self.old.name, {name: old for name, old, _new in changes}),
            (self.old.name, {name: new for name, _old, new in changes}),
        )

    def changes(self) -> list[tuple[str, Any, Any]]:
        """Name, old and new value of what differs."""
        facts: list[tuple[str, Any, Any]] = [
            ("mode", self.old.mode, self.new.mode),
            ("mac", self.old.mac, self.new.mac),
            ("mark", self.old.alias, self.new.alias),
            ("addresses", _listed(self.before), _listed(self.after)),
            ("link_state", _state(self.old), _state(self.new)),
        ]
        return [(name, old, new) for name, old, new in facts if old != new]

    def predict(self, links: dict[int, Link]) -> None:
        """It is changed."""
        links[self.old.ifindex] = self.new


HostLinkStep = Union[DeleteHostLink, CreateHostLink, ChangeHostLink]


def plan(
    network: str, wanted: Wanted, host: Host
) -> tuple[list[DeleteHostLink], list[Union[CreateHostLink, ChangeHostLink]]]:
    """The steps from the host link that is there to the one that is wanted: those that come first, and the others."""
    found = wanted.found
    if found is None and wanted.link is None:
        return [], []
    now = host.addresses.get(found.ifindex, ()) if found is not None else ()
    create = CreateHostLink(wanted.link, network, wanted.device, wanted.addresses) if wanted.link is not None else None
    if found is None:
        return [], [create] if create is not None else []
    delete = DeleteHostLink(found, network, host.device_name(found), now)
    if wanted.link is None or create is None:
        return [delete], []
    forcing = [
        f"{name} {old} -> {new}"
        for name, old, new in (
            ("device", delete.device, wanted.device),
            ("ifname", found.name, wanted.link.name),
        )
        if old != new
    ]
    if forcing:
        return [delete._replace(because=", ".join(forcing))], [create]
    change = ChangeHostLink(found, wanted.link, network, now, wanted.addresses)
    return [], [change] if change.changes() else []


def leaving(network: str, host: Host) -> Wanted:
    """A network without a host link."""
    return Wanted(found=host.host_links.get(network))


def _state(link: Link) -> str:
    return "up" if link.is_up else "down"


def _listed(addresses: Sequence[str]) -> str:
    return ", ".join(sorted(addresses)) or "none"


def _one_line(step: DeleteHostLink | CreateHostLink) -> str:
    link = step.link
    return f"[{link.alias}] device={step.device} mode={link.mode} mac={link.mac} addresses={_listed(step.addresses)}"
