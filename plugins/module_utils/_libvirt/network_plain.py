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

from .._core.errors import InvalidInput
from .._core.model import MODES, Network
from .._core.names import check_device, check_network_name, shown

#: in text and in attributes; names have no blanks but the space
_ESCAPES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))
_QUOTE = ('"', "&quot;")
_DOCUMENT = '<network>\n  <name>%s</name>\n  <forward mode="%s" dev="%s">\n%s  </forward>\n</network>\n'
_INTERFACE = '    <interface dev="%s"/>\n'
_TEXT = re.compile(_DOCUMENT % ("([^<\n]+)", "([a-z]+)", '[^"\n]+', '((?:    <interface dev="[^"\n]+"/>\n)+)'))
_DEVICE = re.compile(r'dev="(.*)"')


def write(name: str, mode: str, devices: tuple[str, ...]) -> str:
    """:returns: the definition, laid out as every other one is (:func:`_libvirt.network_layout.write_network`)."""
    pool = [_escaped(device, *_ESCAPES, _QUOTE) for device in devices]
    return _DOCUMENT % (_escaped(name, *_ESCAPES), mode, pool[0], "".join(_INTERFACE % device for device in pool))


def read(text: str) -> Network | None:
    """The network of a text that :func:`write` wrote; None for every other text.

    :returns: as :func:`_libvirt.network.parse_network` would, ``xml`` included.
    """
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    name, mode, pool = match.groups()
    name, *devices = (_plain(each) for each in (name, *_DEVICE.findall(pool)))
    try:
        check_network_name(name)
        for device in devices:
            check_device(device)
    except InvalidInput:
        return None
    is_ours = mode in MODES and len(set(devices)) == len(devices) and write(name, mode, tuple(devices)) == text
    return Network(name, mode, tuple(devices), xml=text) if is_ours else None


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
