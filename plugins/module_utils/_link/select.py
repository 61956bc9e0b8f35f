# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Which links ``state: absent``, ``purge`` and the filters of macvtap_info mean. PURE."""

from __future__ import annotations

from collections.abc import Sequence
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
    return (tag.guest, tag.nic) in keys or any(
        (nic.mac or nic.ifname) and nic.mac in (None, link.mac) and nic.ifname in (None, link.name) for nic in nameless
    )
