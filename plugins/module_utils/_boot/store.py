# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The boot files of a host: which there are, and what is wrong with them. Reads only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from .._core.errors import MacvtapError, Refused, host_error
from .._system import text_file
from . import entry, files, reading
from .index import is_namespace_of_boot


class Found(NamedTuple):
    """The files of a host that matter here."""

    #: text by path, as the host itself calls it
    texts: dict[str, str]
    #: the network managers that are to be reloaded: paths of their files
    managers: tuple[str, ...]


def look(root: str = "/") -> Found:
    """Read what there is.

    :arg root: where the host's file system is mounted.
    :raises HostError: a file that cannot be read.
    """
    texts = {}
    for directory in (files.BATCH_DIR, files.SYSCTL_DIR):
        for name in _names(below(root, directory)):
            path = f"{directory}/{name}"
            if files.is_candidate(path):
                texts[path] = text_file.read(below(root, path), entry.WHAT)
    for path in (*files.FIXED, files.DHCPCD):
        texts[path] = text_file.read(below(root, path), entry.WHAT)
    managers = [files.DHCPCD] if texts[files.DHCPCD] is not None else []
    if os.path.isdir(below(root, os.path.dirname(os.path.dirname(files.NETWORK_MANAGER)))):
        managers.append(files.NETWORK_MANAGER)
    return Found({path: text for path, text in texts.items() if text is not None}, tuple(managers))


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise host_error(f"cannot list {directory}", exc) from exc


def below(root: str, path: str) -> str:
    """Where ``path`` of the host lies here; never outside of ``root``, wherever links in there lead."""
    if root == "/":
        return path
    below = root.rstrip("/") + path
    top = os.path.realpath(root)
    if os.path.commonpath([top, os.path.realpath(below)]) != top:
        raise Refused(
            f"nothing was changed: {below} is a symbolic link that leads out of root {root}, to"
            f" {os.path.realpath(below)}; make it a relative link"
        )
    return below


def require_own_names(names: Iterable[str]) -> None:
    """Refuse names of this host's own links: the boot turns IPv6 off by name, before it makes a link.

    :raises Refused: a link of that name exists and is not a macvtap.
    """
    for name in names:
        if os.path.exists("/sys/class/net/" + name) and not os.path.isdir(f"/sys/class/net/{name}/macvtap"):
            raise Refused(
                f"nothing was changed: ifname {name!r} is the name of a link of this host that is not a macvtap,"
                " and the next"
                " boot would disable IPv6 on it; pass attachments as macvtap_attach returns them"
            )


class Known(NamedTuple):
    """What the next boot makes."""

    #: by guest and NIC
    entries: dict[tuple[str, int], entry.Entry]
    #: lower device → what it is known by, see :mod:`_boot.lower`
    devices: dict[str, str]
    #: what is wrong with the files
    problems: list[str]


def known() -> Known:
    """What the next boot makes in this network namespace."""
    if not is_namespace_of_boot():
        return Known({}, {}, [])
    entries: list[entry.Entry] = []
    devices: dict[str, str] = {}
    try:
        found = look()
        entries, devices = reading.read(found.texts), reading.read_known(found.texts)
        wanted = files.files(entries, found.texts, found.managers, reading.read_hosts(found.texts), devices)
        steps = entry.plan(found.texts, wanted, files.is_ours)
        missing = "%s is missing; run macvtap_persist to write it again"
        changed = "%s has been changed; run macvtap_persist to write it again"
        problems = [(missing if step.old is None else changed) % step.path for step in steps]
    except MacvtapError as exc:
        problems = [str(exc)]
    return Known({each.key: each for each in entries}, devices, problems)
