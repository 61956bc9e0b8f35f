# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Definitions of plain options: name, mode and pool, to libvirt network XML and back. PURE, and without lxml.

A file is hostile until it is read. So nothing is parsed here: a text is taken apart with patterns, and counts only if
the network that comes out is written as this very text, to the letter. Everything else is for a real parser.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from .._core.errors import InvalidInput
from .._core.model import MODES, Network, PortGroup
from .._core.names import check_device, check_network_name, check_portgroup_name, shown
from . import network_defaults

#: in text and in attributes; names have no blanks but the space
_ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
_QUOTE = ('"', "&quot;")
_DOCUMENT = '<network>\n  <name>%s</name>\n%s  <forward mode="%s" dev="%s">\n%s  </forward>\n%s</network>\n'
_INTERFACE = '    <interface dev="%s"/>\n'
_PORTGROUP = '  <portgroup name="%s"%s/>\n'
_DEFAULT = ' default="yes"'
_METADATA = (
    f'  <metadata>\n    <{network_defaults.TAG} xmlns:macvtap="{network_defaults.NAMESPACE}">%s'
    f"</{network_defaults.TAG}>\n  </metadata>\n"
)
_SAID, _QUOTED = "([^<\n]+)", '[^"\n]+'
_TEXT = re.compile(
    _DOCUMENT
    % (
        _SAID,
        "(?:%s)?" % (_METADATA % _SAID),
        "([a-z]+)",
        _QUOTED,
        "((?:%s)+)" % (_INTERFACE % _QUOTED),
        "((?:%s)*)" % (_PORTGROUP % (_QUOTED, "(?:%s)?" % _DEFAULT)),
    )
)
_DEVICE = re.compile(r'dev="(.*)"')
_GROUP = re.compile(_PORTGROUP % ('([^"\n]+)', f"({_DEFAULT})?"))


def write(network: Network) -> str:
    """:returns: the definition, laid out as every other one is (:func:`_libvirt.network_layout.write_network`)."""
    pool = [_escaped(device, *_ESCAPES, _QUOTE) for device in network.devices]
    groups = [
        _PORTGROUP % (_escaped(group.name, *_ESCAPES, _QUOTE), _DEFAULT if group.default else "")
        for group in network.portgroups
    ]
    defaults = _escaped(network_defaults.write(network), *_ESCAPES)
    return _DOCUMENT % (
        _escaped(network.name, *_ESCAPES),
        _METADATA % defaults if defaults else "",
        network.mode,
        pool[0],
        "".join(_INTERFACE % device for device in pool),
        "".join(groups),
    )


def read(text: str) -> Network | None:
    """The network of a text that :func:`write` wrote; None for every other text.

    :returns: as :func:`_libvirt.network.parse_network` would, ``xml`` included.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    name, defaults, mode, pool, groups = match.groups()
    name, *devices = (_plain(each) for each in (name, *_DEVICE.findall(pool)))
    portgroups = [PortGroup(_plain(group), bool(default)) for group, default in _GROUP.findall(groups)]
    try:
        check_network_name(name)
        for device in devices:
            check_device(device)
        for group in portgroups:
            check_portgroup_name(group.name)
        check_portgroups(portgroups, f"network {shown(name)}")
        settings, with_settings = network_defaults.read(_plain(defaults or ""), portgroups, f"network {shown(name)}")
    except InvalidInput:
        return None
    network = Network(name, mode, tuple(devices), None, with_settings, settings, text)
    is_ours = mode in MODES and len(set(devices)) == len(devices) and write(network) == text
    return network if is_ours else None


def check_portgroups(groups: Sequence[PortGroup], where: str) -> None:
    """Check that no two port groups of a network have one name, and that at most one is the default.

    :arg where: the network, for messages.
    :raises InvalidInput: naming the port group.
    """
    names: set[str] = set()
    for group in groups:
        if group.name in names:
            raise InvalidInput(
                f"{where} has the port group {shown(group.name)} more than once; rename or remove the others"
            )
        names.add(group.name)
    defaults = [shown(group.name) for group in groups if group.default]
    if len(defaults) > 1:
        raise InvalidInput(
            f"{where} has more than one default port group, {defaults[0]} and {defaults[1]};"
            " remove the default from one"
        )


def agreed_name(written: str, wanted: str | None) -> str:
    """The name of a network in its document, where the one asked for is none or the same.

    :raises InvalidInput: naming both.
    """
    if wanted is not None and written != wanted:
        raise InvalidInput(
            f"the network XML names itself {shown(written)}, but the name asked for is {shown(wanted)};"
            " leave one of them out or make them the same"
        )
    return written


def _escaped(text: str, *escapes: tuple[str, str]) -> str:
    for character, escape in escapes:
        text = text.replace(character, escape)
    return text


def _plain(text: str) -> str:
    """The ampersand last: what it stands for is no escape."""
    for character, escape in reversed((*_ESCAPES, _QUOTE)):
        text = text.replace(escape, character)
    return text
