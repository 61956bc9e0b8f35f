# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""From NICs as asked for to attachments with everything decided: device, MAC, name, ifindex. PURE."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from types import MappingProxyType
from typing import Any

from .._core import identity
from .._core.errors import InvalidInput, Refused
from .._core.model import MAKING_GROUP, MTUS, Attachment, Link, Network, Nic, OwnerTag, VirtualFunction
from .._core.names import is_plain, shown
from .._traffic import virtual_function
from .._traffic.guard import digest
from .attributes import Option, not_in_this_kernel, requested, to_request, with_settings
from .host import Host
from .in_use import Conflict
from .placement import Defaults, Place, Placement, key, label


def number_nics(nics: Sequence[Nic], guest: str | None, required: bool = True) -> list[Nic]:
    """Every NIC with its guest and its position, which together are its name.

    :arg guest: for NICs that name none.
    :arg required: whether a NIC must have a guest; without one it keeps no position.
    :raises InvalidInput: no guest, or the same position or name twice.
    """
    seen: dict[str, int] = {}
    numbered = []
    for nic in nics:
        owner = nic.guest if nic.guest is not None else guest
        if owner is None and not required:
            numbered.append(nic)
            continue
        if owner is None:
            raise InvalidInput(
                f"{nic.origin or 'a NIC'} does not name a guest, and the guest option is not set; set it"
            )
        position = seen.get(owner, 0)
        seen[owner] = position + 1
        numbered.append(nic._replace(guest=owner, nic=position if nic.nic is None else nic.nic))
    keys = [(nic.guest, nic.nic) if nic.guest else None for nic in numbered]
    _require_unique(numbered, keys, "guest {} has two NICs number {}")
    _require_unique(
        numbered, [(nic.ifname,) if nic.ifname else None for nic in numbered], "ifname {} is asked for twice"
    )
    return numbered


def _require_unique(nics: Sequence[Nic], values: Iterable[tuple[Any, ...] | None], message: str) -> None:
    """:arg values: of the NICs, in order; None = not asked for."""
    first: dict[object, Nic] = {}
    for nic, value in zip(nics, values):
        other = first.setdefault(value, nic) if value else nic
        if value and other is not nic:
            raise InvalidInput(f"{message.format(*value)}: in {label(other)} and {label(nic)}; give each its own")


def resolve(
    nics: Sequence[Nic],
    networks: Mapping[str, Network | None],
    host: Host,
    defaults: Defaults,
    leaving: Sequence[Link] = (),
    promised: Mapping[tuple[str, int], int] = MappingProxyType({}),
    earlier: Mapping[tuple[str, int], Mapping[str, Any]] | None = None,
    reserved: Collection[str] = (),
) -> list[Attachment]:
    """Decide device, MAC, name and ifindex of every NIC.

    :arg nics: from :func:`number_nics`.
    :arg networks: definitions by name, at least those the NICs name; None for one that no NIC names.
    :arg leaving: links that the same task removes: they do not count and their MACs and names are free.
    :arg promised: indexes that the next boot gives NICs of all guests: these get no other, and no others get them.
    :arg earlier: what earlier tasks asked for, from :func:`requests` at the first look of this run; None = this is it.
    :arg reserved: names that no link gets or keeps unless it is asked for.
    :returns: in the order of ``nics``; what exists already keeps its device, MAC, name and ifindex where it may.
    :raises InvalidInput, Refused: before anything is changed, naming the NIC and the way out.
    """
    gone = {link.ifindex for link in leaving}
    earlier = requests(host) if earlier is None else earlier
    places = Placement(networks, host, gone, defaults).place_all(nics)
    # on two devices it is allowed: the two NICs of a failover pair, copies of one lab
    macs_asked = [(place.nic.mac, place.device.name) if place.nic.mac else None for place in places]
    _require_unique([place.nic for place in places], macs_asked, "MAC {} is asked for twice on {}")
    claimed = {place.found.ifindex for place in places if place.found is not None}
    others = [link for link in host.links.values() if link.ifindex not in claimed and link.ifindex not in gone]
    macs = _choose_macs(places, host, others, defaults.mac_prefix)
    names = _choose_names(places, others, gone, host, reserved)
    indexes = _choose_indexes(places, host, defaults.stable_index, promised)
    lacking = not_in_this_kernel(host.links.values())
    _require_in_kernel(places, lacking)
    return [
        _attachment(place, mac, name, index, lacking, earlier.get(key(place.nic), {}), host)
        for place, mac, name, index in zip(places, macs, names, indexes)
    ]


def requests(host: Host) -> dict[tuple[str, int], dict[str, Any]]:
    """Guest and NIC → what earlier tasks asked for: a link that is created again has no tag for a moment."""
    return {name: requested(owned.tag) for name, owned in host.owned.items() if owned.tag.requested}


def _choose_macs(places: Sequence[Place], host: Host, others: Sequence[Link], prefix: str) -> list[str]:
    taken = {(link.lower, link.mac): link for link in others if link.kind in ("macvtap", "macvlan")}
    used = {mac for _lower, mac in taken}
    used.update(place.nic.mac for place in places if place.nic.mac)
    macs = []
    for place in places:
        mac = place.nic.mac or _derived_mac(place, prefix, used)
        used.add(mac)
        other = taken.get((place.device.ifindex, mac))
        if other is not None:
            raise Conflict(
                "%s: MAC %s is already in use on %s by %s; choose another MAC, or delete that link%s"
                % (
                    place.label,
                    mac,
                    place.device.name,
                    host.describe(other),
                    " (state absent with mac selects it)" if other.is_macvtap else "",
                ),
                other,
            )
        if mac == place.device.mac and place.mode != "passthrough" and not _lends_its_mac(place):
            raise InvalidInput(
                f"{place.label}: MAC {mac} is that of the lower device {place.device.name} itself; choose another"
            )
        macs.append(mac)
    return macs


def _lends_its_mac(place: Place) -> bool:
    """True while the NIC is attached in mode passthrough: the device carries the guest's MAC for that time only."""
    found = place.found
    return found is not None and found.mode == "passthrough" and found.lower == place.device.ifindex


def _derived_mac(place: Place, prefix: str, used: set[str]) -> str:
    candidates = list(islice(identity.derived_macs(prefix, *key(place.nic)), 1))
    current = place.found.mac if place.found is not None else None
    if current == candidates[0] or (current is None and candidates[0] not in used):
        return candidates[0]
    candidates = list(identity.derived_macs(prefix, *key(place.nic)))
    if current in candidates and current not in used:
        return current
    for mac in candidates:
        if mac not in used:
            return mac
    raise Refused(
        f"{place.label}: no MAC with prefix {prefix} is left among {len(candidates)} tried; give a mac or a shorter"
        " mac_prefix"
    )


def _choose_names(
    places: Sequence[Place], others: Sequence[Link], gone: set[int], host: Host, reserved: Collection[str]
) -> list[str]:
    taken = {link.name: link for link in others}
    # the kernel gives no link a name that is an alternative name of one, of the link itself either
    taken.update({name: link for name, link in host.by_name.items() if name != link.name and link.ifindex not in gone})
    for place in places:
        holder = taken.get(place.nic.ifname) if place.nic.ifname else None
        if holder is not None and holder.name != place.nic.ifname:
            raise Conflict(
                f"{place.label}: the name {place.nic.ifname} is an alternative name of {holder.name}; choose another"
                f" ifname, or remove that name: ip link property del dev {holder.name} altname {place.nic.ifname}",
                holder,
            )
        if holder is not None:
            raise Conflict(
                f"{place.label}: the name {holder.name} belongs to another link ({holder.kind or 'no macvtap'},"
                f" ifindex {holder.ifindex}); choose another ifname or omit it",
                holder,
            )
    unusable = {place.nic.ifname for place in places}.union(reserved)
    names = [
        # an existing link keeps its name, unless another NIC asks for just that one, or it is reserved
        place.nic.ifname or (place.found.name if place.found is not None and place.found.name not in unusable else None)
        for place in places
    ]
    used = {*taken, *reserved, *filter(None, names)}
    free = (name for name in map("macvtap%d".__mod__, count()) if name not in used)
    return [name or next(free) for name in names]


def _choose_indexes(
    places: Sequence[Place], host: Host, stable: bool, promised: Mapping[tuple[str, int], int]
) -> list[int]:
    used = {*host.links, *promised.values()}
    highest = max(used, default=0) if not stable else 0
    indexes = []
    for place in places:
        if place.found is not None:
            indexes.append(place.found.ifindex)
            continue
        if stable and key(place.nic) in promised:
            indexes.append(_require_free(promised[key(place.nic)], host, place))
            continue
        candidates: Iterator[int] = identity.derived_indexes(*key(place.nic)) if stable else count(highest + 1)
        index = next(index for index in candidates if index not in used and _path_is_free(index, host, place))
        used.add(index)
        indexes.append(index)
    return indexes


def _require_free(index: int, host: Host, place: Place) -> int:
    """The index that a NIC was promised: what starts the guest names its path, so no other will do."""
    if index in host.links or not _path_is_free(index, host, place):
        raise Refused(
            f"{place.label}: the next boot gives it the path tap{index}, which is in use:"
            f" {host.in_the_way(index)}; the guest is not moved, because what"
            " starts it opens this path. Stop what uses the path, or give the guest another one: macvtap_persist"
            " with state=absent,"
            " then attach it again"
        )
    return index


def moved(
    new: Sequence[Attachment], host: Host, promised: Mapping[tuple[str, int], int]
) -> list[tuple[str, int, int, int, str]]:
    """Of new links those whose index is neither derived for them nor promised: who begins with it does not find them.

    :returns: guest, NIC, the index, the derived one, and what has that.
    """
    found = []
    for attachment in new:
        who, index = (attachment.guest, attachment.nic), attachment.link.ifindex
        first = next(identity.derived_indexes(*who))
        if index not in (first, promised.get(who)):
            found.append((*who, index, first, host.in_the_way(first) or "it is promised to another NIC"))
    return found


def _path_is_free(index: int, host: Host, place: Place) -> bool:
    """Whether tapN may become this NIC's node: another namespace's tap is stepped around, a stray file is refused."""
    node = host.foreign_nodes.get(index)
    if node is None or node.is_stale:
        return True
    if node.kind == "character device":
        return False
    raise Refused(
        "%s: cannot create the tap's device node: a %s exists at %s; remove it%s"
        % (
            place.label,
            node.kind,
            node.path,
            f" (the shell redirection 3<>{node.path} creates such a file if the tap does not exist)"
            if node.kind == "regular file"
            else "",
        )
    )


def _group(found: Link | None) -> int:
    """The link group is the user's, but for the one in which links are made."""
    return 0 if found is None or found.group == MAKING_GROUP else found.group


def _require_in_kernel(places: Sequence[Place], lacking: Sequence[Option]) -> None:
    for option in lacking:
        for place in places:
            if place.nic.settings.get(option.name) is not None:
                raise Refused(
                    f"{place.label}: {option.name} needs Linux {option.since} or later, and no macvtap of this kernel"
                    " has one; leave it out, or boot a newer kernel"
                )


def _felt(kept: Mapping[str, Any], device: Link) -> dict[str, Any]:
    """Of the settings kept, those without which the link would be another one."""
    return {name: value for name, value in kept.items() if name != "mtu" or value < device.mtu}


def _guard_of(link: Link, place: Place) -> str:
    """By what its owner tag knows the guard of a link."""
    if link.guard is None:
        return ""
    if not is_plain(link.name):
        raise InvalidInput(
            f"{place.label}: guard is not possible for the ifname {shown(link.name)}, which nft could take for"
            " something else; use one of letters, digits and . _ + -"
        )
    return digest(link.guard)


def _function_of(link: Link, place: Place, host: Host) -> tuple[VirtualFunction | None, str]:
    """What the virtual function below a link is to have, and what the owner tag says it had before."""
    found, tag = place.found, host.tag(place.found) if place.found is not None else None
    target = virtual_function.joined(link.vf, found.vf if found is not None else None)
    if target is None:
        return None, ""
    device = place.device
    current = host.virtual_functions.get(device.ifindex)
    if place.mode != "passthrough" or current is None:
        if link.vf is None:
            return None, ""
        raise InvalidInput(
            f"{place.label}: vf is not possible on {device.name} in mode {place.mode}: it is for mode passthrough on an"
            " SR-IOV virtual function whose physical function is in this network namespace; leave it out"
        )
    for name, value in target._asdict().items():
        if value is not None and getattr(current, name) is None:
            raise Refused(
                f"{place.label}: the driver of the physical function of {device.name} does not report {name}; leave it"
                " out of vf"
            )
    stays = tag is not None and found is not None and (found.lower, found.mode) == (device.ifindex, place.mode)
    return target, virtual_function.remembered(target, tag.vf if tag is not None and stays else "", current)


def _attachment(
    place: Place,
    mac: str,
    name: str,
    index: int,
    lacking: Sequence[Option],
    earlier: Mapping[str, Any],
    host: Host,
) -> Attachment:
    nic, device = place.nic, place.device
    mtu = nic.settings.get("mtu") or None
    if mtu is not None and not MTUS[0] <= mtu <= device.mtu:
        raise InvalidInput(
            f"{place.label}: mtu {mtu} is not possible on {device.name}: it must be {MTUS[0]} to {device.mtu}, the MTU"
            " of the lower device; raise that first"
        )
    kept = {name: value for name, value in earlier.items() if nic.settings.get(name) is None}
    settings = {**nic.settings, **kept}
    asked = to_request(settings)
    if "mtu" in kept:
        # the lower device may have a smaller one by now
        settings["mtu"] = min(kept["mtu"], device.mtu)
    fields = {
        "ifindex": index,
        "name": name,
        "kind": "macvtap",
        "mode": place.mode,
        "lower": device.ifindex,
        "mac": mac,
        "mtu": device.mtu,
        "flags": 0,
        "alias": "",
        "group": _group(place.found),
    }
    link = with_settings(fields, settings, lacking)
    function, before = _function_of(link, place, host)
    tag = OwnerTag(*key(nic), nic.network, nic.queues, asked, _guard_of(link, place), before)
    link = link._replace(alias=identity.tag_text(tag), vf=function)
    attachment = Attachment(*key(nic), nic.network, device.name, nic.queues, link, place.found)
    attachment = attachment._replace(origin=nic.origin, policy=nic.policy, hardware=nic.hardware)
    return attachment._replace(kept=_felt(kept, device), vlan=host.vlan_of(link))
