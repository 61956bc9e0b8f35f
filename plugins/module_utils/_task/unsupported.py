# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""NICs from libvirt XML: which are macvtaps at all, and which guests are skipped since they ask for what cannot be.

A domain that is not running names only the network of a NIC. So the network is resolved first; only then does an
element count that a macvtap cannot carry out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Callable, NamedTuple, TypeVar

from .._core.errors import InvalidInput, Refused
from .._core.model import Network, Nic
from .._core.names import similar
from .._libvirt import state
from .._link.inherit import inherited

_Placed = TypeVar("_Placed")


class Skipped(NamedTuple):
    """A guest whose NICs are left as they are."""

    guest: str
    reason: str
    #: whether something on the host is in the way now; else the XML asks for what cannot be
    temporary: bool = False


class Sorted(NamedTuple):
    """The NICs to attach, and the guests that are skipped."""

    nics: list[Nic]
    skipped: list[Skipped]


def networks_of_other_kinds(nics: Iterable[Nic], defined: Collection[str], named: Sequence[str]) -> set[str]:
    """Networks that NICs from XML are on and that are not macvtap networks.

    :arg defined: names of the macvtap networks that are defined here.
    :arg named: the option ``other_networks``.
    :raises InvalidInput: the option names a network that is defined here.
    """
    both = sorted(set(named).intersection(defined))
    if both:
        raise InvalidInput(
            f"other_networks names {both[0]!r}, which is defined here as a macvtap network; remove it from"
            " other_networks, or remove the definition with macvtap_network and state=absent"
        )
    unknown = {nic.network for nic in nics if _is_resolved_by_name(nic)}.difference(defined, named)
    if not unknown:
        return set(named)
    return {*named, *(name for name, is_macvtap in _libvirt_networks(unknown).items() if not is_macvtap)}


def _libvirt_networks(names: Collection[str | None]) -> dict[str, bool]:
    """The networks of these names that libvirt has: name → whether it is a macvtap network."""
    # imported here: lxml takes its time, and NICs from XML have brought it already
    from .._libvirt.network import is_macvtap_network

    found = {}
    for network in state.networks():
        if network.name in names:
            try:
                found[network.name] = is_macvtap_network(network.text)
            except InvalidInput:
                continue  # a file that libvirt is writing
    return found


def _is_resolved_by_name(nic: Nic) -> bool:
    return nic.from_xml and nic.device is None and nic.network is not None


def sort_out(
    nics: Sequence[Nic],
    others: Collection[str],
    objection_to: Callable[[Nic], str | None],
    skip_unsupported: bool,
) -> Sorted:
    """Leave out NICs on networks of other kinds; then skip, or refuse, guests that ask for what cannot be.

    :arg others: from :func:`networks_of_other_kinds`.
    :arg objection_to: why a NIC of a macvtap network or of a lower device cannot be attached, None = it can.
    :raises InvalidInput: with the objection to a NIC, unless its guest is skipped.
    """
    wanted: list[Nic] = []
    reasons: dict[str, list[str]] = {}
    for nic in nics:
        if _is_resolved_by_name(nic) and nic.network in others:
            continue
        reason = objection_to(nic)
        if reason is None:
            wanted.append(nic)
        elif skip_unsupported and nic.from_xml and nic.guest is not None:
            reasons.setdefault(nic.guest, []).append(reason)
        else:
            raise InvalidInput(reason)
    return Sorted(
        [nic for nic in wanted if nic.guest not in reasons],
        [Skipped(name, ". ".join(of_guest)) for name, of_guest in reasons.items()],
    )


def objection(nic: Nic, networks: Mapping[str, Network | None]) -> str | None:
    """Why a NIC cannot be attached; first what its network is, then what its elements ask for.

    :arg networks: the definitions that the NICs name, and if one is missing the names of all others.
    """
    network = networks.get(nic.network) if nic.network is not None else None
    if _is_resolved_by_name(nic) and network is None:
        return _unknown_network(nic, networks)
    if nic.objection is None and network is not None:
        try:
            inherited(nic, network)
        except InvalidInput as exc:
            return f"{nic.origin}: {exc}"
    return nic.objection


def _unknown_network(nic: Nic, networks: Mapping[str, Network | None]) -> str:
    name = str(nic.network)
    if name in _libvirt_networks({name}):
        # networks_of_other_kinds has left it: a macvtap network
        return (
            f"{nic.origin}: network {name!r} is a macvtap network of libvirt's, but not defined here; define it with"
            f" macvtap_network and what 'virsh net-dumpxml --inactive' prints of it as xml, or, if libvirt is to create"
            " the links of this network, name it in other_networks"
        )
    hidden = state.hidden()
    unread = f", whose files in {' and '.join(hidden)} cannot be read; run as root (become: true)" if hidden else ""
    defined = ", ".join(map(repr, sorted(networks))) or "none"
    meant = ", ".join(map(repr, similar(name, networks)))
    return (
        f"{nic.origin}: network {name!r} is defined neither here (defined: {defined}) nor in libvirt on this"
        f" host{unread}; {f'write {meant} if you mean that, or ' if meant else ''}define it with macvtap_network first"
        " (in check mode, pass that task's network in networks), or, if it is not a macvtap network, name it in"
        " other_networks"
    )


def place_what_fits(nics: Sequence[Nic], place: Callable[[Sequence[Nic]], _Placed]) -> tuple[list[Nic], list[Skipped]]:
    """Skip the guests from XML with which the NICs cannot be placed.

    :arg place: raises for NICs that cannot be placed together.
    :returns: NICs that can, in the same order, and the guests that are skipped.
    :raises MacvtapError: from ``place``, for NICs that do not come from XML.
    """
    try:
        place(nics)
        return list(nics), []
    except (InvalidInput, Refused):
        kept = {nic.guest for nic in nics if not nic.from_xml}
    place([nic for nic in nics if nic.guest in kept])
    skipped: list[Skipped] = []
    # halves, since of a thousand guests a few do not fit
    todo = [list(dict.fromkeys(nic.guest for nic in nics if nic.guest not in kept))]
    while todo:
        guests = todo.pop()
        try:
            place([nic for nic in nics if nic.guest in kept.union(guests)])
            kept.update(guests)
        except (InvalidInput, Refused) as exc:
            if len(guests) == 1:
                skipped.append(Skipped(str(guests[0]), str(exc), isinstance(exc, Refused)))
            else:
                half = len(guests) // 2
                todo += [guests[half:], guests[:half]]
    return [nic for nic in nics if nic.guest in kept], skipped


def rows(skipped: Iterable[Skipped]) -> list[dict[str, Any]]:
    """Skipped guests as the rows of a result."""
    return [guest._asdict() for guest in skipped]
