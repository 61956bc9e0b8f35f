# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""What the boot files know lower devices by beside the name, so that a renamed one is found again. PURE.

That is the permanent MAC, as ``mac:52:54:…``; of a device that has none of its own, its alternative names.
:mod:`_boot.script` looks for the device in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from .._core.model import Link
from .._core.names import is_plain
from .._link.host import Host

_MAC = re.compile("mac:((?:[0-9a-f]{2}:){5}[0-9a-f]{2})")
_LINE = re.compile("^# lower device: (%s|[A-Za-z0-9_.+ -]+)$" % _MAC.pattern, re.MULTILINE)


def known_by(device: str, host: Host) -> str | None:
    """What a lower device is to be found by, as words; "" = by its name only, None = there is no such device now."""
    link = host.by_name.get(device)
    if link is None:
        return None
    by_mac = f"mac:{link.permanent_mac}"
    if _MAC.fullmatch(by_mac) and host.with_permanent_mac(link.permanent_mac) == [link]:
        return by_mac
    return " ".join(sorted(name for name in link.altnames if is_plain(name) and name != device))


def line(words: str) -> str:
    """The line of a boot file that says what a device is known by; without words none."""
    return f"# lower device: {words}\n" if words else ""


def read(text: str) -> str:
    """What that line says in the text of a boot file."""
    match = _LINE.search(text)
    return match[1] if match else ""


def candidates(device: str, words: str, host: Host) -> list[Link]:
    """The devices that the boot finds for the name and the words: it makes links on one only."""
    named = host.by_name.get(device)
    found = {link.ifindex: link for word in words.split() for link in _by_word(word, host)}
    if named is not None and (not found or named.ifindex in found):
        return [named]
    return [*([named] if named is not None else []), *found.values()]


def problems(known: Mapping[str, str], host: Host) -> list[str]:
    """What has become of lower devices since their boot files were written, in words.

    :arg known: device → what it is known by.
    """
    told = []
    for device, words in known.items():
        found = candidates(device, words, host)
        names = " and ".join(link.name for link in found)
        if len(found) > 1:
            told.append(
                f"the next boot makes no link on lower device {device}: {names} match what the boot files know of it"
                f" ({words}); run macvtap_attach and then macvtap_persist"
            )
        elif found and names != device:
            told.append(
                f"lower device {device} of the boot files is now called {names}, and the next boot finds it; run"
                " macvtap_persist to write its name"
            )
    return told


def udev_lines(device: str, words: str, unit: str) -> Iterable[str]:
    """The rules that make systemd take a device of another name for ``device``, where no other has that name."""
    mac = _MAC.fullmatch(words)
    if mac is not None:
        match = (
            f'KERNEL!="{device}", ATTR{{address}}=="{mac[1]}", DEVPATH!="/devices/virtual/*",'
            f' TEST!="/sys/class/net/{device}"'
        )
        alias = f'ENV{{SYSTEMD_ALIAS}}+="/sys/subsystem/net/devices/{device}"'
        yield f'SUBSYSTEM=="net", ACTION!="remove", {match}, TAG+="systemd", {alias}'
        yield f'SUBSYSTEM=="net", ACTION=="add|move", {match}, ENV{{SYSTEMD_WANTS}}+="{unit}"'


def current(known: Mapping[str, str], host: Host) -> dict[str, str]:
    """What lower devices of the boot files are called now; those that are gone or ambiguous are left out.

    :arg known: as of :func:`problems`.
    """
    found = {device: candidates(device, words, host) for device, words in known.items()}
    return {device: links[0].name for device, links in found.items() if len(links) == 1}


def _by_word(word: str, host: Host) -> list[Link]:
    mac = _MAC.fullmatch(word)
    if mac is not None:
        return host.with_permanent_mac(mac[1])
    link = host.by_name.get(word)
    return [] if link is None else [link]
