# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The programs that read the files of a boot and run already: which to reload after a change, and how.

Every command here makes a program read its configuration and no more. It leaves what it has configured as it is, but
for links that the new files speak of. dhcpcd has no such command.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Callable, NamedTuple

from .._system.command import run
from . import files

#: seconds; systemd answers when it has read all units
_PATIENCE = 90
_NAME_HAS_OWNER = "busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus NameHasOwner s %s"
_NOT_IN_HAND = ("unmanaged", "connected (externally)")
_MANAGED = "nmcli --terse --fields DEVICE,STATE device"


class Reader(NamedTuple):
    """A program, and the files of ours that it reads."""

    name: str
    paths: frozenset[str]
    is_running: Callable[[], bool]
    command: str


def is_systemd_running() -> bool:
    """As sd_booted(3) tells."""
    return os.path.isdir("/run/systemd/system")


def _is_udev_running() -> bool:
    return os.path.exists("/run/udev/control")


def _is_networkd_running() -> bool:
    # networkctl would start it where it is not
    return _output(_NAME_HAS_OWNER % "org.freedesktop.network1").strip() == "b true"


def _is_network_manager_running() -> bool:
    return bool(_output(_MANAGED))


_READERS = (
    Reader(
        "systemd",
        frozenset((files.SERVICE, files.TARGET, files.GUESTS, files.BOOT)),
        is_systemd_running,
        "systemctl daemon-reload",
    ),
    Reader(
        "udev",
        frozenset((files.UDEV_RULES, files.LINK)),
        _is_udev_running,
        "udevadm control --reload",
    ),
    Reader(
        "systemd-networkd",
        frozenset((files.NETWORK,)),
        _is_networkd_running,
        "networkctl reload",
    ),
    Reader(
        "NetworkManager",
        frozenset((files.NETWORK_MANAGER,)),
        _is_network_manager_running,
        "nmcli general reload conf",
    ),
)


def due(changed: Collection[str]) -> list[Reader]:
    """Who runs and reads one of the files ``changed``."""
    return [reader for reader in _READERS if reader.paths.intersection(changed) and reader.is_running()]


def would_bring_down(reader: Reader, names: Iterable[str]) -> list[str]:
    """The links among ``names`` that a program has in its hands and would set down when it lets go of them.

    NetworkManager does that with what it has configured (_set_state_full in nm-device.c), which are links of other
    tools only where a profile of the host asks for it. At what is "connected (externally)" it only looks.
    """
    if reader.name != "NetworkManager":
        return []
    states = dict(line.rsplit(":", 1) for line in _output(_MANAGED).splitlines() if ":" in line)
    return sorted(name for name in names if states.get(name, "unmanaged") not in _NOT_IN_HAND)


def describe(reader: Reader) -> str:
    """In words, for ``actions``."""
    return f"reload {reader.name} ({reader.command})"


def reload(readers: Sequence[Reader]) -> list[str]:
    """Tell each.

    :returns: what failed, in words: the files are correct, but the reload must be repeated.
    """
    failures = []
    for reader in readers:
        done = run(reader.command.split(), _PATIENCE)
        if done.status:
            failures.append("%s: %s" % (reader.command, done.errors.strip() or f"exit code {done.status}"))
    return failures


class Leftovers(NamedTuple):
    """What systemd and udev have of units whose files are gone."""

    units: list[str]
    #: names of the lower devices of which udev says that they want such a unit
    devices: list[str]


def leftovers(gone: Collection[str], names: Mapping[str, str]) -> Leftovers | None:
    """What is left when files are gone; None = nothing.

    :arg gone: their paths.
    :arg names: lower device → what it is called now, where that is known.
    """
    devices = files.devices_of(gone)
    if not devices or not is_systemd_running():
        return None
    units = [files.instance(device) for device in devices]
    shared = [files.TARGET_UNIT, files.SLICE] if files.TARGET in gone else []
    return Leftovers(units + shared, [names.get(device, device) for device in devices])


def clear(left: Leftovers) -> None:
    """Let systemd and udev forget them. Stopping such a unit does nothing to links."""
    run(["systemctl", "stop", *left.units], _PATIENCE)
    run(["systemctl", "reset-failed", *left.units], _PATIENCE)
    paths = [path for path in map("/sys/class/net/%s".__mod__, left.devices) if os.path.exists(path)]
    if paths:
        run(["udevadm", "trigger", "--action=change", "--settle", *paths], _PATIENCE)


def _output(command: str) -> str:
    """Standard output, empty when the command fails or is not there."""
    done = run(command.split(), _PATIENCE)
    return "" if done.status else done.output
