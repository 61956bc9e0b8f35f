# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Observe a guest, check what a plan needs, apply it. The only room that changes guests."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Collection, Sequence
from functools import partial
from typing import NamedTuple

from .._core.errors import HostError, InvalidInput, MacvtapError
from .._core.revert import Revert
from .._system import lock
from . import files, link_state, process, rx_filter, supervisor
from .answers import expected, nonsense
from .paths import Paths
from .plan import Found, LiveNic, Process, Running, Step, Wanted, at_next_start
from .qemu import MAC, VHOST_PATH, QemuNic, device, is_virtio, netdev, nic_args, ports_in, without_nics
from .qmp import Qmp, QmpError

_DEVICE_ID = re.compile(r"nic([0-9]{1,4})")
_LARGEST_MTU = 65535
#: seconds between two presses of the power button: a guest that still boots misses the first
_PRESS_EVERY = 5.0
#: seconds for QEMU itself to end when it is told to
_QUIT_SECONDS = 10.0
#: seconds for one that was killed a moment ago to be gone: its threads end one by one
_ENDING_SECONDS = 1.0


class StartFailed(HostError):
    """QEMU did not start."""


class Host(NamedTuple):
    """How to reach one guest here."""

    paths: Paths
    systemd: supervisor.Systemd | None
    pid_file: supervisor.PidFile
    #: None when only stopping or removing
    user: supervisor.User | None
    start_timeout: float
    stop_timeout: float

    def process(self) -> Process | None:
        """The guest's process, whether systemd or this module started it.

        :raises Refused: what lies at the guest's place is another's.
        """
        return (self.systemd.process() if self.systemd else None) or self.pid_file.process()

    def pid(self) -> int | None:
        """Its number."""
        found = self.process()
        return found.pid if found else None

    def is_there(self) -> bool:
        """Whether something at these paths is this guest's, by the name that it has there."""
        return (self.systemd is not None and self.systemd.is_ours()) or self.pid_file.is_named()


def observe(host: Host, wanted: Sequence[QemuNic] | None) -> Found:
    """What is there of the guest.

    :arg wanted: its NICs, to which a QEMU that does not tell those it has is an error; None = they do not matter.
    """
    guest = host.process()
    running = _running(host, guest, wanted) if guest else None
    paths = (
        *(host.paths.directory, host.paths.pid_file, host.paths.start_file, host.paths.link_file),
        *(host.paths.console, host.paths.log),
    )
    return Found(
        running=running,
        unit=host.systemd.text() if host.systemd else None,
        enabled=host.systemd.is_enabled() if host.systemd else False,
        files=tuple(path for path in paths if os.path.lexists(path)),
    )


def _running(host: Host, guest: Process, wanted: Sequence[QemuNic] | None) -> Running | None:
    base = tuple(without_nics(process.command_line(guest.pid)))
    nics: dict[int, LiveNic] = {}
    try:
        with files.connect(host.paths, guest) as qmp:
            nics = _live_nics(qmp)
    except (OSError, HostError) as exc:
        if process.wait_until(lambda: not process.is_alive(guest), _ENDING_SECONDS):
            return None
        if wanted is not None:
            raise HostError(
                f"the guest runs as process {guest.pid}, but its QMP socket does not respond ({exc}); end the"
                f" other client or that process"
            ) from exc
    vhost = process.device_number(VHOST_PATH)
    taps = [nic.tap_number for nic in wanted or ()]
    held = process.held_taps(guest.pid, [number for number in (*taps, vhost) if number is not None])
    vhosts = held.pop(vhost, 0) if vhost else 0
    return Running(guest, base, nics, held, vhosts, link_state.cut_of(host.paths, guest), files.is_open(host.paths))


def _live_nics(qmp: Qmp) -> dict[int, LiveNic]:
    """The NICs of ours that QEMU reports.

    :raises HostError: it reports what no QEMU does.
    """
    nics = {}
    for item in expected(qmp.execute("qom-list", {"path": "/machine/peripheral"}), list):
        match = _DEVICE_ID.fullmatch(expected(expected(item, dict).get("name"), str))
        if match:
            nics[int(match.group(1))] = _live_nic(qmp, f"/machine/peripheral/{match.group()}")
    macs = {f"nic{number}": nic.mac for number, nic in nics.items() if is_virtio(nic.driver)}
    filters = rx_filter.read(qmp.execute("query-rx-filter"), macs) if macs else {}
    return {number: nic._replace(wants=filters.get(f"nic{number}", rx_filter.Filter())) for number, nic in nics.items()}


def _live_nic(qmp: Qmp, path: str) -> LiveNic:
    driver, mac = (expected(qmp.execute("qom-get", {"path": path, "property": key}), str) for key in ("type", "mac"))
    mtu = None
    if is_virtio(driver):
        mtu = expected(qmp.execute("qom-get", {"path": path, "property": "host_mtu"}), int)
    if not MAC.fullmatch(mac.lower()) or not 0 <= (mtu or 0) <= _LARGEST_MTU:
        raise nonsense((mac, mtu))
    return LiveNic(mac.lower(), mtu, driver)


def check(
    steps: Sequence[Step], wanted: Wanted, host: Host, found: Found, files: Sequence[tuple[str, str, str]]
) -> None:
    """Refuse a plan that cannot come true, before its first step.

    :arg files: (option, path, ``r`` or ``rw``) that the guest reads or writes.
    """
    own = found.running.process.pid if found.running else None
    starts = any(step.kind == "start" for step in steps)
    new = wanted.nics if starts else [step.nic for step in steps if step.kind == "plug" and step.nic]
    if found.running and new:
        _check_models(host, found.running.process, new)
    process.check_taps(new, own)
    if (starts or at_next_start(wanted, found)) and host.user is not None:
        process.check_readable(files, host.user.become())


def _check_models(host: Host, guest: Process, nics: Sequence[QemuNic]) -> None:
    """Refuse models that the QEMU of a running guest does not have."""
    with files.connect(host.paths, guest) as qmp:
        for driver in sorted({nic.qom_type for nic in nics if nic.qom_type}):
            try:
                qmp.execute("device-list-properties", {"typename": driver})
            except QmpError as exc:
                raise InvalidInput(f"driver {driver} is not one that this QEMU has ({exc}); see -device help") from exc


def apply(steps: Sequence[Step], wanted: Wanted, host: Host, found: Found) -> None:
    """Carry out the steps.

    A start that fails leaves nothing running and the unit as it was; a NIC that fails leaves the others alone.
    """
    revert = Revert()
    try:
        _apply(steps, wanted, host, found, revert)
    except StartFailed as exc:
        revert.run(exc)
        raise


def _apply(steps: Sequence[Step], wanted: Wanted, host: Host, found: Found, revert: Revert) -> None:
    for step in steps:
        if step.kind == "stop" and found.running:
            stop(host, found.running.process)
        elif step.kind == "start":
            start(host, wanted)
        elif step.kind == "remove":
            _remove(host)
        elif step.kind == "secure":
            files.take(host.paths)
        elif step.kind in ("plug", "unplug", "link"):
            _nic_step(host, step)
        elif host.systemd and wanted.unit is not None:
            if not revert:
                # the unit is one thing: its text and whether the boot starts it
                revert.push(partial(host.systemd.restore, found.unit, found.enabled))
            _unit_step(host.systemd, step, wanted.unit)


def _nic_step(host: Host, step: Step) -> None:
    guest = host.process()
    if guest is None:
        raise HostError("the guest ended a moment ago; run again")
    with files.connect(host.paths, guest) as qmp:
        if step.kind == "link" and step.nic is not None:
            link_state.set_link(qmp, host.paths, guest, step.nic)
        elif step.nic is not None:
            plug(qmp, step.nic, ports_in(" ".join(process.command_line(guest.pid))))
        elif step.number is not None:
            unplug(qmp, step.number, host.stop_timeout)
            link_state.keep(host.paths, guest, link_state.cut_of(host.paths, guest) - {step.number})


def _unit_step(systemd: supervisor.Systemd, step: Step, text: str) -> None:
    if step.kind == "define":
        systemd.define(text)
    else:
        systemd.enable(step.kind == "enable")


def start(host: Host, wanted: Wanted) -> None:
    """Start the guest and wait until QEMU answers.

    :raises StartFailed: QEMU ended at once or stays silent; the text holds its own words, and nothing of it is left.
    """
    if host.user is None:
        raise HostError("the guest has no user to run as; set user")
    files.make_log(host.paths.console, host.user.uid, host.user.gid)
    offset = files.make_log(host.paths.log, 0, 0)
    keeper = host.systemd or host.pid_file
    command = [*wanted.base, *nic_args(wanted.nics, ports=ports_in(" ".join(wanted.base)))]
    # Between the look at a tap's holders and its opening nobody else of us may do the same.
    with lock.hold("guests"):
        # Somebody may have taken a tap since the plan was made.
        process.check_taps(wanted.nics, None)
        files.clear(host.paths)
        try:
            guest = keeper.start(command, wanted.nics, host.user)
        except MacvtapError as exc:
            host.pid_file.stopped()
            said = process.last_words(host.paths.log, offset)
            raise StartFailed(
                f"guest {wanted.name} does not start: {exc}" + (f"; QEMU says: {said}" if said else "")
            ) from exc
    try:
        _wait_ready(host, guest)
        # From here on its user cannot replace the socket; what it did before shows now.
        files.take(host.paths)
        _wait_ready(host, guest)
    except MacvtapError as exc:
        _end(host, guest)
        said = process.last_words(host.paths.log, offset) or "nothing"
        raise StartFailed(f"guest {wanted.name} does not start: {exc}; QEMU says: {said}") from exc


def _wait_ready(host: Host, guest: Process) -> None:
    def answers() -> bool:
        if not process.is_alive(guest):
            raise HostError("QEMU ended at once")
        try:
            files.connect(host.paths, guest, host.start_timeout).close()
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except HostError:
            if not process.is_alive(guest):
                raise HostError("QEMU ended at once") from None
            raise
        return True

    if not process.wait_until(answers, host.start_timeout):
        raise HostError(f"QEMU does not answer within {host.start_timeout:g} seconds")


def _end(host: Host, guest: Process) -> None:
    if host.systemd:
        host.systemd.stop()
    process.end(guest, _QUIT_SECONDS)
    host.pid_file.stopped()


def stop(host: Host, guest: Process) -> None:
    """Press the guest's power button, wait, then end QEMU."""
    if host.systemd and host.systemd.process() == guest:
        host.systemd.stop()
    else:
        _power_down(host, guest)
    process.end(guest, _QUIT_SECONDS)
    host.pid_file.stopped()


def _power_down(host: Host, guest: Process) -> None:
    deadline = time.monotonic() + host.stop_timeout
    while time.monotonic() < deadline and process.is_alive(guest):
        _command(host, guest, "system_powerdown")
        remaining = max(deadline - time.monotonic(), 0)
        if process.wait_until(lambda: not process.is_alive(guest), min(_PRESS_EVERY, remaining)):
            return
    if _command(host, guest, "quit"):
        process.wait_until(lambda: not process.is_alive(guest), _QUIT_SECONDS)


def _command(host: Host, guest: Process, command: str) -> bool:
    """Give a command whose failure is no error, since a firmer one follows; returns whether QEMU took it."""
    with contextlib.suppress(OSError, HostError), files.connect(host.paths, guest, _PRESS_EVERY) as qmp:
        qmp.execute(command)
        return True
    return False


def _remove(host: Host) -> None:
    if host.systemd:
        host.systemd.remove()
    host.pid_file.stopped()
    for path in (host.paths.console, host.paths.log, host.paths.link_file):
        files.remove_file(path)


def plug(qmp: Qmp, nic: QemuNic, ports: Collection[str]) -> None:
    """Give a running guest a NIC: the descriptors travel over the socket, so QEMU needs no right on the node.

    :arg ports: ids of the guest's root ports for NICs.
    """
    with lock.hold("guests"):
        process.check_taps([nic], None)
        descriptors = process.open_descriptors(nic)
    names = [f"{nic.netdev_id}-{position}" for position in range(len(descriptors))]
    try:
        for name, descriptor in zip(names, descriptors):
            qmp.execute("getfd", {"fdname": name}, [descriptor])
        qmp.execute("netdev_add", netdev(nic, names))
    except QmpError:
        for name in names:
            with contextlib.suppress(QmpError):
                qmp.execute("closefd", {"fdname": name})
        raise
    finally:
        process.close_all(descriptors)
    try:
        qmp.execute("device_add", device(nic, ports))
    except QmpError:
        qmp.execute("netdev_del", {"id": nic.netdev_id})
        raise


def unplug(qmp: Qmp, number: int, seconds: float) -> None:
    """Take a NIC from a running guest, which has to let it go.

    :raises HostError: it does not within ``seconds``.
    """
    name = f"nic{number}"
    qmp.execute("device_del", {"id": name})
    if not qmp.wait_deleted(name, seconds):
        raise HostError(
            f"the guest did not release nic {number} within {seconds:g} seconds: it is still booting, or its system"
            f" does not support hot-unplug; try again, or stop the guest"
        )
    qmp.execute("netdev_del", {"id": f"net{number}"})
