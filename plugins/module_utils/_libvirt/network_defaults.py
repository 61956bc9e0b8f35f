# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""How a definition has what a network sets for its NICs: an element of our own in ``<metadata>``. PURE, without lxml.

libvirt refuses ``<bandwidth>`` on a macvtap network and in its port groups, knows ``<vlan>`` there in mode passthrough
only, and has no broadcast queue. But it keeps the first element of each namespace in ``<metadata>``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from .._core.errors import InvalidInput
from .._core.model import Network, PortGroup
from .._core.names import shown
from .._link.inherit import checked

NAMESPACE = "https://github.com/linuxnet/ansible-collection-macvtap"
#: with the prefix that is written
TAG = "macvtap:defaults"
_PORTGROUPS = "portgroups"


def write(network: Network) -> str:
    """:returns: the text of the element; "" = the network sets nothing."""
    groups = {group.name: dict(group.settings) for group in network.portgroups if group.settings}
    values = {**network.settings, **({_PORTGROUPS: groups} if groups else {})}
    return json.dumps(values, sort_keys=True, ensure_ascii=False) if values else ""


def read(text: str, groups: Iterable[PortGroup], where: str) -> tuple[dict[str, Any], tuple[PortGroup, ...]]:
    """What the element says.

    :arg groups: the port groups of the network.
    :arg where: the network, for messages.
    :returns: the settings of the network, and the port groups with theirs.
    :raises InvalidInput: the text is not what :func:`write` writes.
    """
    groups = tuple(groups)
    try:
        values = json.loads(text) if text.strip() else {}
    except ValueError as exc:
        raise InvalidInput(f"{where} has a <{TAG}> that is not JSON ({exc}); correct or remove it") from exc
    of_groups = values.pop(_PORTGROUPS, {}) if isinstance(values, dict) else {}
    if not isinstance(values, dict) or not _is_of_dicts(of_groups):
        raise InvalidInput(f"{where} has a <{TAG}> that is not an object of settings; correct or remove it")
    unknown = sorted(set(of_groups) - {group.name for group in groups})
    if unknown:
        raise InvalidInput(f"{where} has settings for the port group {shown(unknown[0])}, which it does not have")
    made = [
        group._replace(
            settings=checked(of_groups.get(group.name, {}), f"{where}, port group {shown(group.name)}", True)
        )
        for group in groups
    ]
    return checked(values, where), tuple(made)


def _is_of_dicts(values: object) -> bool:
    return isinstance(values, Mapping) and all(isinstance(value, dict) for value in values.values())
