# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The other owner: networks that libvirt has, and macvtaps that it made for its guests, from the files it keeps.

libvirt marks nothing on a link. But it writes down what it has, in a form that is always the same (virXMLSaveFile), so
that no parser is needed and none of its daemons has to run. A file that cannot be read tells nothing; :func:`hidden`
tells of those that only root may read.
"""

from __future__ import annotations

import contextlib
import html
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from .._core.errors import MacvtapError, MissingLibrary
from .._core.model import Network

#: NAME.xml of each network: those that are defined, and those that are active, which may be defined nowhere
NETWORK_DIRS = ("/etc/libvirt/qemu/networks", "/run/libvirt/network")
#: NAME.xml of each running domain
DOMAIN_DIR = "/run/libvirt/qemu"

_NETWORK = re.compile(r"<network[ >].*</network>", re.DOTALL)
_NAME = re.compile(r"<name>([^<]*)</name>")
_UUID = re.compile(r"<uuid>([^<]*)</uuid>")
_DOMAIN = re.compile(r"<domain [^>]*>\s*<name>([^<]*)</name>")
_INTERFACE = re.compile(r"<interface type='(?:direct|network)'.*?</interface>", re.DOTALL)
#: also that of a NIC on a network of macvtaps, below <actual>
_DIRECT = re.compile(r"<(?:interface|actual) type='direct'")
_TARGET = re.compile(r"<target dev='([^']*)'")


class Definition(NamedTuple):
    """A network that libvirt has."""

    name: str
    #: as it is compared: lower case, without hyphens
    uuid: str
    path: str
    #: the <network> element
    text: str


def networks() -> list[Definition]:
    """The networks that libvirt has, defined or active, each once."""
    found: dict[str, Definition] = {}
    for directory in NETWORK_DIRS:
        for path, text in _files(directory):
            element = _NETWORK.search(text)
            name = _first(_NAME, element[0]) if element else ""
            if element and name and name not in found:
                found[name] = Definition(name, _uuid(element[0]), path, element[0])
    return list(found.values())


def conflicts(name: str, text: str | None, network: Network | None, found: list[Definition]) -> list[str]:
    """What is wrong with a network of ours for what libvirt has, in words for an operator.

    :arg text: its definition, None = none on disk.
    :arg network: what the definition says, None = nothing of use.
    :arg found: what :func:`networks` told.
    """
    uuid = _uuid(text or "")
    problems = []
    for other in found:
        if other.name == name:
            problems.append(
                "libvirt has a network %r too (%s)%s: its guests get links there that libvirt makes itself; keep one of"
                " the two, with 'virsh net-destroy' and 'virsh net-undefine', or with state=absent here"
                % (name, other.path, "" if network is None else _difference(network, other))
            )
        elif uuid and uuid == other.uuid:
            problems.append(
                f"libvirt's network {other.name!r} ({other.path}) has the same UUID, so 'virsh net-define' would"
                " refuse this definition; take"
                " the <uuid> out of one of them"
            )
    return problems


def _difference(network: Network, other: Definition) -> str:
    # imported here, since lxml takes its time and few hosts get here
    from .network import is_macvtap_network, parse_network

    try:
        if not is_macvtap_network(other.text):
            return ", which is no macvtap network there"
        theirs = parse_network(other.text)
    except MissingLibrary:
        return ""
    except MacvtapError:
        return ", there with elements that are refused here"
    here, there = ((each.mode, each.pf or ", ".join(each.devices)) for each in (network, theirs))
    if here == there:
        return ", just the same"
    return ", there with mode %s on %s, here with mode %s on %s" % (*there, *here)


def made_links() -> dict[str, str]:
    """The macvtaps that libvirt made for its running guests: name of the link → name of the domain."""
    found = {}
    for _path, text in _files(DOMAIN_DIR):
        # most domains have none
        if _DIRECT.search(text):
            domain = _first(_DOMAIN, text)
            for interface in _INTERFACE.findall(text):
                if _DIRECT.search(interface):
                    found[_first(_TARGET, interface)] = domain
    return found


def hidden() -> list[str]:
    """Those directories that are there, or may be, and that this user may not look into."""
    found = []
    for directory in (*NETWORK_DIRS, DOMAIN_DIR):
        try:
            os.listdir(directory)
        except PermissionError:
            found.append(directory)
        except OSError:
            continue
    return found


def _files(directory: str) -> Iterator[tuple[str, str]]:
    with contextlib.suppress(OSError):
        for entry in sorted(os.listdir(directory)):
            path = os.path.join(directory, entry)
            if entry.endswith(".xml") and os.path.isfile(path):
                with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
                    yield path, file.read()


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return html.unescape(match[1]) if match else ""


def _uuid(text: str) -> str:
    return _first(_UUID, text).replace("-", "").strip().lower()
