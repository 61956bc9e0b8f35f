# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Observe a guest, check what a plan needs, apply it. The only room that changes guests."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ansible_collections.linuxnet.macvtap.plugins.module_utils import _qemu_process as process
from ansible_collections.linuxnet.macvtap.plugins.module_utils import _qemu_supervisor as supervisor
from ansible_collections.linuxnet.macvtap.plugins.module_utils._errors import HostError, MacvtapError
from ansible_collections.linuxnet.macvtap.plugins.module_utils._qemu_args import (
    QemuNic,
    device,
    netdev,
    nic_args,
    without_nics,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._qemu_guest import (
    Found,
    LiveNic,
    Paths,
    Running,
    Step,
    Wanted,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._qmp import Qmp, QmpError, QmpSilent

_DEVICE_ID = re.compile(r"nic([0-9]+)")
#: seconds between two presses of the power button: a guest that still boots misses the first
_PRESS_EVERY = 5.0
#: seconds for QEMU itself to end when it is told to
_QUIT_SECONDS = 10.0


_UNIT_STEPS = ("define", "enable", "disable")


class StartFailed(HostError):
    """QEMU did not start."""


class Host(NamedTuple):
    """How to reach one guest here."""

    paths: Paths
    systemd: supervisor.Systemd | None
    pid_file: supervisor.PidFile
    #: None when only stopping or removing
    user: supervisor.User | None
    driver: str
    vhost: bool
    start_timeout: float
    stop_timeout: float

    def pid(self) -> int | None:
        """The guest's process, whoever started it."""
        return (self.systemd.pid() if self.systemd else None) or self.pid_file.pid()


def observe(host: Host, need_nics: bool) -> Found:
    """What is there of the guest.

    :arg need_nics: whether the NICs matter so much that a QEMU that does not tell them is an error.
    """
    pid = host.pid()
    running = _running(host, pid, need_nics) if pid else None
    paths = (host.paths.directory, host.paths.pid_file, host.paths.console, host.paths.log)
    return Found(
        running=running,
        unit=host.systemd.text() if host.systemd else None,
        enabled=host.systemd.is_enabled() if host.systemd else False,
        files=tuple(path for path in paths if os.path.lexists(path)),
    )


def _running(host: Host, pid: int, need_nics: bool) -> Running:
    base = tuple(without_nics(process.command_line(pid)))
    nics: dict[int, LiveNic] = {}
    try:
        with Qmp(host.paths.socket) as qmp:
            nics = _live_nics(qmp)
    except (OSError, QmpSilent) as error:
        if need_nics:
            raise HostError(
                f"the guest runs as process {pid}, but its QMP socket does not serve ({error}); end the other client or"
                " that process"
            ) from error
    return Running(pid, base, nics, process.held_devices(pid))


def _live_nics(qmp: Qmp) -> dict[int, LiveNic]:
    nics = {}
    for item in qmp.execute("qom-list", {"path": "/machine/peripheral"}):
        match = _DEVICE_ID.fullmatch(item["name"])
        if match:
            path = f"/machine/peripheral/{item['name']}"
            mac, mtu = (qmp.execute("qom-get", {"path": path, "property": key}) for key in ("mac", "host_mtu"))
            nics[int(match.group(1))] = LiveNic(str(mac).lower(), int(mtu))
    return nics


def check(
    steps: Sequence[Step], wanted: Wanted, host: Host, found: Found, files: Sequence[tuple[str, str, str]]
) -> None:
    """Refuse a plan that cannot come true, before its first step.

    :arg files: (option, path, ``r`` or ``rw``) that the guest reads or writes.
    """
    own = found.running.pid if found.running else None
    starts = any(step.kind == "start" for step in steps)
    process.check_taps(wanted.nics if starts else [step.nic for step in steps if step.kind == "plug" and step.nic], own)
    if starts and host.user is not None:
        process.check_readable(files, host.user.become())


def apply(steps: Sequence[Step], wanted: Wanted, host: Host, found: Found) -> None:
    """Carry out the steps.

    A start that fails leaves nothing running and the unit as it was; a NIC that fails leaves the others alone.
    """
    try:
        _apply(steps, wanted, host, found)
    except StartFailed:
        if host.systemd and any(step.kind in _UNIT_STEPS for step in steps):
            host.systemd.restore(found.unit, found.enabled)
        raise


def _apply(steps: Sequence[Step], wanted: Wanted, host: Host, found: Found) -> None:
    for step in steps:
        if step.kind == "stop" and found.running:
            stop(host, found.running.pid)
        elif step.kind == "start":
            start(host, wanted)
        elif step.kind == "remove":
            _remove(host)
        elif step.kind in ("plug", "unplug"):
            with Qmp(host.paths.socket) as qmp:
                _plug_step(qmp, host, step)
        elif host.systemd and wanted.unit is not None:
            _unit_step(host.systemd, step, wanted.unit)


def _plug_step(qmp: Qmp, host: Host, step: Step) -> None:
    if step.nic is not None:
        plug(qmp, step.nic, host.driver, host.vhost)
    elif step.number is not None:
        unplug(qmp, step.number, host.stop_timeout)


def _unit_step(systemd: supervisor.Systemd, step: Step, text: str) -> None:
    if step.kind == "define":
        systemd.define(text)
    else:
        systemd.enable(step.kind == "enable")


def start(host: Host, wanted: Wanted) -> int:
    """Start the guest and wait until QEMU answers.

    :return: its pid.
    :raises StartFailed: QEMU ended at once or stays silent; the text holds its own words, and nothing of it is left.
    """
    if host.user is None:
        raise HostError("nobody to run the guest as")
    supervisor.make_log(host.paths.console, host.user.uid, host.user.gid)
    offset = supervisor.make_log(host.paths.log, 0, 0)
    keeper = host.systemd or host.pid_file
    command = [*wanted.base, *nic_args(wanted.nics, vhost=host.vhost, driver=host.driver)]
    with _one_at_a_time(os.path.dirname(host.paths.directory)):
        # Somebody may have taken a tap since the plan was made.
        process.check_taps(wanted.nics, None)
        supervisor.remove_file(host.paths.socket)
        try:
            pid = keeper.start(command, wanted.nics, host.user, host.vhost)
        except MacvtapError as error:
            host.pid_file.stopped()
            said = process.last_words(host.paths.log, offset)
            raise StartFailed(
                f"guest {wanted.name} does not start: {error}" + (f"; QEMU says: {said}" if said else "")
            ) from error
    try:
        _wait_ready(host, pid)
    except MacvtapError as error:
        _end(host, pid)
        said = process.last_words(host.paths.log, offset) or "nothing"
        raise StartFailed(f"guest {wanted.name} does not start: {error}; QEMU says: {said}") from error
    return pid


def _wait_ready(host: Host, pid: int) -> None:
    def answers() -> bool:
        if not process.is_alive(pid):
            raise HostError("QEMU ended at once")
        try:
            with Qmp(host.paths.socket, host.start_timeout) as qmp:
                if qmp.peer_pid() != pid:
                    raise HostError(f"process {qmp.peer_pid()} answers in place of QEMU, process {pid}")
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except QmpSilent:
            if not process.is_alive(pid):
                raise HostError("QEMU ended at once") from None
            raise
        return True

    if not process.wait_until(answers, host.start_timeout):
        raise HostError(f"QEMU does not answer within {host.start_timeout:g} seconds")


def _end(host: Host, pid: int) -> None:
    if host.systemd:
        host.systemd.stop()
    if process.is_alive(pid):
        process.end(pid, _QUIT_SECONDS)
    host.pid_file.stopped()


def stop(host: Host, pid: int) -> None:
    """Press the guest's power button, wait, then end QEMU."""
    if host.systemd and host.systemd.pid() == pid:
        host.systemd.stop()
    else:
        _power_down(host, pid)
    if process.is_alive(pid):
        process.end(pid, _QUIT_SECONDS)
    host.pid_file.stopped()


def _power_down(host: Host, pid: int) -> None:
    remaining = host.stop_timeout
    while remaining > 0 and process.is_alive(pid):
        _command(host, "system_powerdown")
        if process.wait_until(lambda: not process.is_alive(pid), min(_PRESS_EVERY, remaining)):
            return
        remaining -= _PRESS_EVERY
    if _command(host, "quit"):
        process.wait_until(lambda: not process.is_alive(pid), _QUIT_SECONDS)


def _command(host: Host, command: str) -> bool:
    """Give a command whose failure is no error, since a firmer one follows; returns whether QEMU took it."""
    with contextlib.suppress(OSError, HostError), Qmp(host.paths.socket, _PRESS_EVERY) as qmp:
        qmp.execute(command)
        return True
    return False


def _remove(host: Host) -> None:
    if host.systemd:
        host.systemd.remove()
    for path in (host.paths.socket, host.paths.pid_file, host.paths.console, host.paths.log):
        supervisor.remove_file(path)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(host.paths.directory)


def plug(qmp: Qmp, nic: QemuNic, driver: str, vhost: bool) -> None:
    """Give a running guest a NIC: the descriptors travel over the socket, so QEMU needs no right on the node."""
    descriptors = process.open_descriptors(nic, vhost)
    names = [f"{nic.netdev_id}-{position}" for position in range(len(descriptors))]
    try:
        for name, descriptor in zip(names, descriptors):
            qmp.execute("getfd", {"fdname": name}, [descriptor])
        qmp.execute("netdev_add", netdev(nic, names, vhost))
    except QmpError:
        for name in names:
            with contextlib.suppress(QmpError):
                qmp.execute("closefd", {"fdname": name})
        raise
    finally:
        process.close_all(descriptors)
    try:
        qmp.execute("device_add", device(nic, driver))
    except QmpError:
        qmp.execute("netdev_del", {"id": nic.netdev_id})
        raise


def unplug(qmp: Qmp, number: int, seconds: float) -> None:
    """Take a NIC from a running guest, which has to let it go.

    :raises HostError: it does not within ``seconds``.
    """
    name = f"nic{number}"
    qmp.execute("device_del", {"id": name})
    if not qmp.wait_event("DEVICE_DELETED", lambda data: data.get("device") == name, seconds):
        raise HostError(
            f"the guest does not let go of NIC {number} within {seconds:g} seconds: it still boots, or its system knows"
            " no hot-unplug; try again, or stop the guest"
        )
    qmp.execute("netdev_del", {"id": f"net{number}"})


@contextlib.contextmanager
def _one_at_a_time(directory: str) -> Iterator[None]:
    """Between the look at a tap's holders and its opening nobody else of us may do the same."""
    os.makedirs(directory, mode=0o755, exist_ok=True)
    descriptor = os.open(os.path.join(directory, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
