# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The steps from the QEMU guest that runs to the one that is wanted. PURE.

There is no record of what was started: the command line of the running process and the NICs that QEMU itself reports
are compared with the wanted ones.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from .._core.names import shown
from .qemu import QemuNic, is_virtio
from .rx_filter import Filter


class LiveNic(NamedTuple):
    """A NIC that a running QEMU reports."""

    mac: str
    #: None of a model that does not tell it to the guest
    mtu: int | None
    #: the model, as QEMU calls it
    driver: str
    #: what else than the frames for its MAC the guest wants to receive
    wants: Filter = Filter()


class Process(NamedTuple):
    """One process, which its number alone does not tell: that becomes another's after its end."""

    pid: int
    #: clock ticks from the boot to its start
    started: int


class Running(NamedTuple):
    """A running guest."""

    process: Process
    #: its command line without NICs
    base: tuple[str, ...]
    nics: Mapping[int, LiveNic]
    #: how often the process has which device open
    held: Mapping[tuple[int, int], int]
    #: how often it has vhost-net open
    vhosts: int = 0
    #: numbers of the NICs whose cable is out
    cut: frozenset[int] = frozenset()
    #: whether its user may replace its control socket
    exposed: bool = False


class Found(NamedTuple):
    """What is there of the guest."""

    running: Running | None
    #: content of the unit file, None = there is none
    unit: str | None = None
    #: whether the next boot starts it
    enabled: bool = False
    #: its other files that exist
    files: tuple[str, ...] = ()


class Wanted(NamedTuple):
    """What is asked for."""

    name: str
    #: ``started``, ``stopped`` or ``absent``
    state: str
    #: command line without NICs
    base: tuple[str, ...] = ()
    nics: tuple[QemuNic, ...] = ()
    #: whether a running guest must have vhost, or must not; None = it keeps what it has
    vhost: bool | None = None
    #: content of the unit file, None without systemd
    unit: str | None = None
    #: whether the next boot starts it
    enabled: bool = False
    #: whether a running guest is restarted when its command line changes
    restarts: bool = True


class Step(NamedTuple):
    """One change; ``text`` is for the user."""

    kind: str
    text: str
    nic: QemuNic | None = None
    number: int | None = None


def plan(wanted: Wanted, found: Found) -> list[Step]:
    """The steps from ``found`` to what is wanted, in order."""
    name = wanted.name
    stop = [Step("stop", f"stop guest {name}")] if found.running else []
    if wanted.state == "absent":
        remains = found.unit is not None or found.files
        return stop + ([Step("remove", f"remove the files of guest {name}")] if remains or stop else [])
    steps = _unit_steps(wanted, found)
    if wanted.state == "stopped":
        return steps + stop
    if found.running is None:
        return steps + _start_steps(wanted)
    change = _difference(found.running.base, wanted.base)
    if change and wanted.restarts:
        return steps + [
            Step("stop", f"stop guest {name} to restart it: {change}"),
            *_start_steps(wanted),
        ]
    if found.running.exposed:
        steps.append(Step("secure", f"take the directory of the control socket of guest {name} from its user"))
    return steps + _nic_steps(wanted, found.running)


def at_next_start(wanted: Wanted, found: Found) -> str | None:
    """What the next start changes of a guest that runs and is not restarted for it, in words."""
    if found.running is None or wanted.state != "started" or wanted.restarts:
        return None
    return _difference(found.running.base, wanted.base) or None


def _start_steps(wanted: Wanted) -> list[Step]:
    start = Step("start", f"start guest {wanted.name}")
    return [start, *_link_steps(wanted, frozenset())]


def _link_steps(wanted: Wanted, cut: Collection[int]) -> list[Step]:
    """Steps for the NICs whose cable is not where it has to be.

    :arg cut: numbers of those that are without.
    """
    return [
        Step("link", f"set the link of NIC {nic.nic} of guest {wanted.name} {'up' if nic.link_up else 'down'}", nic)
        for nic in wanted.nics
        if nic.link_up == (nic.nic in cut)
    ]


def _unit_steps(wanted: Wanted, found: Found) -> list[Step]:
    if wanted.unit is None:
        return []
    steps = []
    if wanted.unit != found.unit:
        verb = "write" if found.unit is None else "rewrite"
        steps.append(Step("define", f"{verb} the unit of guest {wanted.name}"))
    if wanted.enabled != found.enabled:
        kind = "enable" if wanted.enabled else "disable"
        steps.append(Step(kind, f"{kind} the unit of guest {wanted.name} at boot"))
    return steps


def _difference(running: Sequence[str], wanted: Sequence[str]) -> str:
    """What to tell the user of a changed command line; empty when there is no change."""
    if list(running) == list(wanted):
        return ""
    gone = [word for word in running if word not in wanted]
    new = [word for word in wanted if word not in running]
    # what runs may have written anything there
    words = " ".join(gone) if all(word.isprintable() for word in gone) else shown(" ".join(gone))
    return f"command line changes from {words[:4000] or 'one order'} to {' '.join(new) or 'another'}"


def _nic_steps(wanted: Wanted, running: Running) -> list[Step]:
    name, nics = wanted.name, wanted.nics
    by_number = {nic.nic: nic for nic in nics}
    moves = _moves_frames_elsewhere(wanted, running)
    unplug = [
        Step("unplug", f"unplug NIC {number} ({live.mac}) of guest {name}", number=number)
        for number, live in sorted(running.nics.items())
        if number not in by_number
        or (moves and is_virtio(live.driver))
        or not is_same(by_number[number], live, running.held)
    ]
    gone = {step.number for step in unplug}
    plug = [
        Step("plug", f"plug NIC {nic.nic} ({nic.mac}) into guest {name}", nic=nic, number=nic.nic)
        for nic in nics
        if nic.nic not in running.nics or nic.nic in gone
    ]
    return unplug + plug + _link_steps(wanted, running.cut - gone)


def _moves_frames_elsewhere(wanted: Wanted, running: Running) -> bool:
    """Whether its frames are moved by the kernel and must not be, or the other way round.

    QEMU does not tell it of a NIC; its descriptors do, of all together. A command line with a vhost of the user's own
    says nothing of ours.
    """
    if wanted.vhost is None or any("vhost" in word for word in running.base):
        return False
    there = [nic.queues for nic in wanted.nics if nic.vhost and nic.nic in running.nics]
    return running.vhosts < sum(there) if wanted.vhost else running.vhosts > 0


def is_same(nic: QemuNic, live: LiveNic, held: Mapping[tuple[int, int], int]) -> bool:
    """Whether a live NIC is the wanted one: same model, MAC, MTU and queues, on this very tap."""
    return (
        nic.is_model(live.driver)
        and nic.mac == live.mac
        and live.mtu in (None, nic.mtu or 0)
        and nic.tap_number is not None
        and held.get(nic.tap_number, 0) == nic.queues
    )
