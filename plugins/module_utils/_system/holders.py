# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Which processes have a tap open, as /proc shows it.

/proc names holders; it never proves that there are none: :mod:`_system.tap_use` asks the kernel for that.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .._core.model import MOST_HOLDERS, Holder
from .._core.names import printable
from . import descriptors

#: linux/if_tun.h
_TUNGETIFF = 0x800454D2
_IFREQ_BYTES = 40
_INIT = 1
#: the PID namespace of the host (PROC_PID_INIT_INO, linux/proc_ns.h)
_HOST_PIDS = "pid:[4026531836]"
#: there in the network namespace of the host only (net_core_table, net/core/sysctl_net_core.c)
_HOST_NETWORK = "/proc/sys/net/core/default_qdisc"
#: number of open files of all macvtaps, of whatever process: each holds the driver (cdev_get, fs/char_dev.c); there
#: where the driver is a module
_OPEN_FILES = "/sys/module/macvtap/refcnt"
#: seconds for one look. A user may have millions of descriptors, and each costs some microseconds.
PATIENCE = 10.0


class Look(NamedTuple):
    """What one pass over /proc found, and what it could not see."""

    #: by device number; at most :data:`MOST_HOLDERS` of each
    holders: dict[tuple[int, int], list[Holder]]
    #: by device number, how many more there are
    omitted: dict[tuple[int, int], int]
    #: processes whose open files may not be seen: each may be a holder
    hidden: list[Holder]
    #: processes with descriptors that are in no table: in flight in a socket, or registered with io_uring
    parked: list[Holder]
    #: number of processes not looked at, since the time was up
    unreached: int = 0
    #: True when /proc does not show every process that shares this network
    is_partial: bool = False
    #: number of open macvtap files that are in no table that was seen; None = the kernel does not say
    unaccounted: int | None = None
    #: processes with an open tap whose link is gone, where it was asked for
    dead: tuple[Holder, ...] = ()

    @property
    def is_complete(self) -> bool:
        """True when a tap without a holder here has none in any table of descriptors."""
        if self.unaccounted is not None:
            return not self.unaccounted
        return not (self.hidden or self.parked or self.unreached or self.is_partial)


class _Found(NamedTuple):
    """What one process has."""

    taps: set[int]
    is_parking: bool
    has_dead_tap: bool
    #: (thread, number) of each descriptor of a macvtap, also of those that are not looked for
    macvtaps: list[tuple[int, int]]


def look(numbers: Iterable[tuple[int, int]], patience: float = PATIENCE, dead: int | None = None) -> Look:
    """The processes that have one of these devices open, from one pass over /proc.

    Opening the node would not tell: macvtap has no exclusive open, and every open adds a queue.

    Process 1 never counts as hidden: the init of a host or the supervisor of a container, often hidden from what it
    runs, starts guests and is none.

    :arg patience: seconds after which the pass ends; the rest is counted.
    :arg dead: major number of macvtap, to look also for taps without a link.
    """
    devices = {os.makedev(*number): number for number in numbers}
    found = Look({}, {}, [], [])
    if not devices and dead is None:
        return found
    # who hides a guest behind processes with very many descriptors hides it in vain
    pids = sorted(map(int, filter(str.isdigit, os.listdir("/proc"))), key=lambda pid: (descriptors.count(pid), pid))
    found = found._replace(is_partial=_INIT not in pids or _is_container_on_host_network())
    macvtaps: list[tuple[int, int]] = []
    before = _count_open()
    deadline = time.monotonic() + patience
    for position, pid in enumerate(pids):
        try:
            process = _look_at(pid, devices.keys(), dead, deadline)
        except descriptors.OutOfTime:
            found = found._replace(unreached=len(pids) - position)
            break
        except PermissionError:
            if pid != _INIT:
                found.hidden.append(_describe(pid))
            continue
        macvtaps += process.macvtaps
        if process.has_dead_tap:
            found = found._replace(dead=(*found.dead, _describe(pid)))
        if process.is_parking:
            found.parked.append(_describe(pid))
        for device in process.taps:
            number = devices[device]
            named = found.holders.setdefault(number, [])
            if len(named) < MOST_HOLDERS:
                named.append(_describe(pid))
            else:
                found.omitted[number] = found.omitted.get(number, 0) + 1
    return found._replace(unaccounted=_unaccounted(macvtaps, before))


def _unaccounted(macvtaps: Iterable[tuple[int, int]], before: int | None) -> int | None:
    """How many files are open beside those of these descriptors.

    :arg before: how many were open before they were listed; what came or went since is no doubt.
    """
    seen, after = descriptors.count_files(macvtaps), _count_open()
    if before is None or seen is None or after is None:
        return None
    return max(0, min(before, after) - seen)


def _count_open() -> int | None:
    try:
        with open(_OPEN_FILES, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def find(numbers: Iterable[tuple[int, int]]) -> dict[tuple[int, int], list[Holder]]:
    """The holders that :func:`look` finds."""
    return look(numbers).holders


def queues(pid: int, numbers: Iterable[tuple[int, int]], patience: float = PATIENCE) -> dict[tuple[int, int], int]:
    """How often the leader of a process has each of these taps open, without those that it has not.

    :raises PermissionError: when its open files may not be seen.
    :raises descriptors.OutOfTime: after ``patience`` seconds.
    """
    devices = {os.makedev(*number): number for number in numbers}
    found: dict[tuple[int, int], int] = {}
    for descriptor in descriptors.of_thread(pid, pid, time.monotonic() + patience) if devices else ():
        if descriptor.device in devices and _is_live(pid, descriptor.number):
            number = devices[descriptor.device]
            found[number] = found.get(number, 0) + 1
    return found


def _is_container_on_host_network() -> bool:
    """Whether the processes of the host share this network, but not this PID namespace."""
    try:
        return os.readlink("/proc/self/ns/pid") != _HOST_PIDS and os.path.exists(_HOST_NETWORK)
    except OSError:
        # a /proc of yet another PID namespace
        return True


def _look_at(pid: int, devices: Iterable[int], dead: int | None, deadline: float) -> _Found:
    """Which of the devices a process has open.

    :raises PermissionError: when its open files may not be seen.
    :raises descriptors.OutOfTime: at the deadline.
    """
    wanted = set(devices)
    majors = {os.major(device) for device in wanted} | ({dead} if dead is not None else set())
    taps: set[int] = set()
    macvtaps = []
    is_parking = has_dead_tap = False
    for thread in descriptors.threads_with_tables(pid, deadline):
        for descriptor in descriptors.of_thread(pid, thread, deadline):
            is_parking = is_parking or descriptor.is_parking
            device = descriptor.device
            if device is None or os.major(device) not in majors:
                continue
            is_opened = descriptors.is_opened(pid, thread, descriptor.number)
            if is_opened:
                macvtaps.append((thread, descriptor.number))
            if device in taps or (device not in wanted and dead is None):
                continue
            is_live = _is_live(thread, descriptor.number)
            taps |= {device} & wanted if is_live else set()
            has_dead_tap = has_dead_tap or (is_opened and not is_live)
    return _Found(taps, is_parking, has_dead_tap, macvtaps)


def _is_live(thread: int, number: int) -> bool:
    """False for what only looks like an open tap.

    The descriptor of a tap whose link is gone stays open, and its minor may be another link's by now (ENOLINK,
    tap_ioctl in drivers/net/tap.c). One with O_PATH, which takes no permission, opens nothing (EBADF). The kernel tells
    both apart, but only through the descriptor itself, which is borrowed for that. Where it cannot be, it counts.
    """
    with descriptors.borrowed(thread, number) as (descriptor, error):
        if descriptor is None:
            return error not in (errno.ESRCH, errno.EBADF)
        try:
            fcntl.ioctl(descriptor, _TUNGETIFF, bytes(_IFREQ_BYTES))
        except OSError as exc:
            return exc.errno not in (errno.ENOLINK, errno.EBADF)
    return True


def _describe(pid: int) -> Holder:
    """The name of a process, and with whose rights it runs."""
    facts = dict(_status(pid))
    groups = facts.get("Gid", [])[1:2] + facts.get("Groups", [])
    return Holder(pid, command_of(pid), int(facts.get("Uid", [0, 0])[1]), frozenset(map(int, groups)))


def _status(pid: int) -> Iterator[tuple[str, list[str]]]:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        for line in file:
            key, _colon, value = line.partition(":")
            if key in ("Uid", "Gid", "Groups"):
                yield key, value.split()


def command_of(pid: int) -> str:
    """The name of a process, "?" when it is not to be seen. A process chooses its name, escape sequences included."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return printable(file.read().strip())
    except OSError:
        return "?"
