# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Which links ``state: absent``, ``purge`` and the filters of macvtap_info mean. PURE."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from .._core.model import Link, Nic, OwnerTag
from .host import Host


class Selection(NamedTuple):
    """Selectors that are not None narrow the choice together; an empty list selects nothing."""

    #: select every macvtap with such a MAC, of any creator (the rule of 2010)
    macs: Sequence[str] | None = None
    ifnames: Sequence[str] | None = None
    network: str | None = None
    guest: str | None = None
    #: numbered as for ``present`` where they name a guest
    nics: Sequence[Nic] | None = None
    #: beside ``nics``: guests of which every link is selected
    whole_guests: Collection[str] | None = None
    device: str | None = None

    def is_empty(self) -> bool:
        """Whether nothing narrows the choice: every attachment would be selected."""
        return all(selector is None for selector in self)


def select(host: Host, selection: Selection, foreign: bool = False) -> list[Link]:
    """The macvtaps meant, by ifindex.

    Only links with our owner tag are, but for ``macs``, which mean any.

    :arg foreign: any link may be meant, of any creator.
    """
    keys = {(nic.guest, nic.nic) for nic in selection.nics or () if nic.guest is not None}
    nameless = [nic for nic in selection.nics or () if nic.guest is None]
    chosen = []
    for link in host.macvtaps:
        tag = host.tag(link)
        if tag is None and selection.macs is None and not foreign:
            continue
        if _fits(link, tag, selection, host) and _is_among(link, tag, selection, keys, nameless):
            chosen.append(link)
    return sorted(chosen, key=lambda link: link.ifindex)


def _fits(link: Link, tag: OwnerTag | None, selection: Selection, host: Host) -> bool:
    return (
        (selection.macs is None or link.mac in selection.macs)
        and (selection.ifnames is None or link.name in selection.ifnames)
        and (selection.network is None or (tag is not None and tag.network == selection.network))
        and (selection.guest is None or (tag is not None and tag.guest == selection.guest))
        and (selection.device is None or host.device_name(link) == selection.device)
    )


def _is_among(link: Link, tag: OwnerTag | None, selection: Selection, keys: set, nameless: Sequence[Nic]) -> bool:
    if selection.nics is None:
        return True
    if tag is None:
        return False
    return (
        (tag.guest, tag.nic) in keys
        or tag.guest in (selection.whole_guests or ())
        or any(_is_named(link, nic) for nic in nameless)
    )


def _is_named(link: Link, nic: Nic) -> bool:
    return bool(nic.mac or nic.ifname) and nic.mac in (None, link.mac) and nic.ifname in (None, link.name)


class Purge(NamedTuple):
    """Which attachments ``purge`` removes unless the task asks for them; any of these is enough."""

    guests: Collection[str] = ()
    networks: Collection[str] = ()
    #: every attachment on the host
    everything: bool = False
    #: guests that the task leaves as they are
    except_guests: Collection[str] = ()

    def covers(self, tag: OwnerTag) -> bool:
        """Whether an attachment with this owner tag must be one that the task asks for."""
        is_covered = self.everything or tag.guest in self.guests or tag.network in self.networks
        return is_covered and tag.guest not in self.except_guests


def to_purge(host: Host, nics: Sequence[Nic], purge: Purge) -> list[Link]:
    """The links that ``purge`` removes.

    :arg nics: what the task asks for, from :func:`_link.resolve.number_nics`.
    """
    keys = {(nic.guest, nic.nic) for nic in nics}
    kept = {owned.link.ifindex for key, owned in host.owned.items() if key in keys}
    return [owned.link for owned in host.tagged() if owned.link.ifindex not in kept and purge.covers(owned.tag)]
