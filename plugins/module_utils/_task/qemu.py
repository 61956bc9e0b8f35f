# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Module macvtap_qemu from its options to its result."""

from __future__ import annotations

import grp
import os
import platform
import pwd
import sys
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.parsing.convert_bool import boolean

from .._core.errors import HostError, InvalidInput
from .._core.names import shown
from .._guest import control as converge
from .._guest import process, rx_filter, supervisor
from .._guest.command_line import GuestSpec, base_command, check_spec
from .._guest.files import check_directory
from .._guest.paths import file_name, file_name_1_0, paths_of
from .._guest.plan import Found, Step, Wanted, at_next_start, plan
from .._guest.qemu import QemuNic, keeps_its_bus, nic_args, nics_of, ports_in
from .._guest.unit import UnitSpec, unit_text
from .._system import sysfs

_SPEC_OPTIONS = ("machine", "cpu", "cpus", "memory", "image", "image_format", "kernel", "initrd", "append", "sandbox")


def work(module: AnsibleModule) -> dict[str, Any]:
    """Options → result of the module."""
    options = module.params
    if os.geteuid():
        # any other user sees no sockets, no holders of taps and no files of guests, and so would report them wrong
        raise HostError(f"guests are managed as root, and this task runs as user {os.geteuid()}; set become: true")
    if options["state"] == "started":
        return _started(module)
    host = _host(options, None)
    found = converge.observe(host, None)
    unit = found.unit if host.systemd else None
    enabled = options["state"] == "stopped" and found.enabled
    wanted = Wanted(options["name"], options["state"], unit=unit, enabled=enabled)
    steps = plan(wanted, found)
    if not module.check_mode:
        converge.apply(steps, wanted, host, found)
    return _result(wanted, found, steps, host, None)


def _started(module: AnsibleModule) -> dict[str, Any]:
    options = module.params
    file_name(options["name"])
    vhost = _vhost(options["vhost"])
    nics = nics_of(options["taps"], options["driver"], process.vhost_works() if vhost is None else vhost)
    if options["follow_carrier"]:
        nics = [nic._replace(link_up=nic.link_up and _has_carrier(tap)) for nic, tap in zip(nics, options["taps"])]
    for position, tap in enumerate(options["taps"]):
        if tap.get("guest") not in (None, options["name"]):
            raise InvalidInput(f"taps[{position}] belongs to guest {tap['guest']!r} and not to {options['name']!r}")
    spec = _spec(module)
    check_spec(spec)
    user = _user(module, spec.accelerator)
    missing = [name for name, is_there in (("qemu", os.path.isabs(spec.binary)), ("user", user)) if not is_there]
    host = _host(options, user)
    found = converge.observe(host, nics)
    base = base_command(spec, host.paths, _has_ports(found))
    unit = _unit(options, host, base, nics)
    wanted = Wanted(
        *(options["name"], "started", tuple(base), tuple(nics), vhost, unit),
        enabled=options["autostart"],
        restarts=options["restart_on_change"],
    )
    steps = plan(wanted, found)
    _warn_of_user(module, user, found, steps)
    later = at_next_start(wanted, found)
    if later:
        module.warn(
            f"guest {wanted.name} was not restarted, and its next start changes this: {later}; set"
            " restart_on_change=true, or stop and start it"
        )
    predicted = module.check_mode and any(nic.tap_number is None for nic in nics)
    if not predicted:
        converge.check(steps, wanted, host, found, _files(options))
    if not module.check_mode:
        converge.apply(steps, wanted, host, found)
    _warn_of_filters(module, nics, found)
    result = _result(wanted, found, steps, host, spec.accelerator)
    return {**result, "missing": missing} if missing else result


def _warn_of_filters(module: AnsibleModule, nics: list[QemuNic], found: Found) -> None:
    """Report what a running guest wants to receive, and its links do not deliver."""
    live = found.running.nics if found.running else {}
    for nic, tap in zip(nics, module.params["taps"]):
        for text in rx_filter.undelivered(live[nic.nic].wants, tap) if nic.nic in live else ():
            module.warn(f"NIC {nic.nic} ({nic.mac}) of guest {module.params['name']} {text}")


def _vhost(value: Any) -> bool | None:
    """The option of that name; None = where it works."""
    if value == "auto":
        return None
    try:
        return boolean(value)
    except TypeError:
        raise InvalidInput(f"vhost {shown(value)} is not auto, true or false") from None


def _has_carrier(tap: dict[str, Any]) -> bool:
    """Whether the lower device of an attachment has a carrier; where it is not told, the guest keeps its link."""
    return not tap.get("device") or sysfs.has_carrier(str(tap["device"]))


def _has_ports(found: Found) -> bool:
    """Whether a machine of the guest that needs root ports for its NICs has them."""
    running = " ".join(found.running.base) if found.running else ""
    return not keeps_its_bus(running) and not keeps_its_bus(found.unit or "")


def _spec(module: AnsibleModule) -> GuestSpec:
    options = module.params
    accelerator = options["accelerator"]
    if accelerator == "auto":
        accelerator = "kvm" if process.kvm_works() else "tcg"
    architecture = {"amd64": "x86_64", "i686": "i386", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    return GuestSpec(
        name=options["name"],
        binary=_binary(module, options["binary"] or f"qemu-system-{architecture}"),
        accelerator=accelerator,
        extra_args=tuple(options["extra_args"]),
        **{name: options[name] for name in _SPEC_OPTIONS},
    )


def _binary(module: AnsibleModule, name: str) -> str:
    try:
        return process.find_binary(name)
    except HostError as exc:
        if not module.check_mode:
            raise
        # On a fresh host a real run installs it before it comes here.
        module.warn(str(exc))
        return name


def _user(module: AnsibleModule, accelerator: str) -> supervisor.User | None:
    name = module.params["user"]
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        if module.check_mode:
            module.warn(f"user {name} does not exist yet: what it may read was not checked")
            return None
        error = InvalidInput(f"user {name} does not exist; create it, or have the role qemu_guest create it")
        error.missing = ("user",)
        raise error from None
    comment = module.params["user_comment"]
    if comment is not None and entry.pw_gecos != comment:
        raise InvalidInput(
            f"user {name} exists, but with the comment {shown(entry.pw_gecos)} instead of {shown(comment)}, so it was"
            " created for something else; remove or rename it, or choose another user"
        )
    if entry.pw_uid == 0:
        raise InvalidInput(f"user {name} is root, but guests run unprivileged; choose another user")
    groups = []
    if accelerator == "kvm" and os.path.exists("/dev/kvm"):
        kvm = os.stat("/dev/kvm")
        groups = [_group_name(kvm.st_gid)] if kvm.st_gid not in (0, entry.pw_gid) else []
    return supervisor.User(name, entry.pw_uid, entry.pw_gid, _group_name(entry.pw_gid), groups)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _host(options: dict[str, Any], user: supervisor.User | None) -> converge.Host:
    version = supervisor.systemd_version()
    if options["supervisor"] == "systemd" and version is None:
        raise InvalidInput("supervisor systemd is asked for, but systemd does not manage this host")
    by_systemd = options["supervisor"] != "none" and version is not None
    name = options["name"]

    def host_of(stem: str) -> converge.Host:
        paths = paths_of(stem, options["runtime_dir"], options["log_dir"])
        return converge.Host(
            paths=paths,
            systemd=supervisor.Systemd(name, stem, options["unit_dir"]) if by_systemd else None,
            pid_file=supervisor.PidFile(name, paths),
            user=user,
            start_timeout=options["start_timeout"],
            stop_timeout=options["stop_timeout"],
        )

    host, host_1_0 = host_of(file_name(name)), host_of(file_name_1_0(name))
    check_directory("runtime_dir", options["runtime_dir"], group_may_write=False)
    check_directory("log_dir", options["log_dir"], group_may_write=True)
    # What 1.0 started under another name is found there until it is removed.
    return host_1_0 if host_1_0.paths != host.paths and host_1_0.is_there() else host


def _warn_of_user(module: AnsibleModule, user: supervisor.User | None, found: Found, steps: list[Step]) -> None:
    uid = process.user_of(found.running.process) if found.running else None
    if user is not None and uid not in (None, user.uid) and not any(step.kind == "start" for step in steps):
        module.warn(
            f"guest {module.params['name']} runs as uid {uid}, and as user {user.name} from its next start on; stop and"
            " start it to change that now"
        )


def _unit(options: dict[str, Any], host: converge.Host, base: list[str], nics: list[QemuNic]) -> str | None:
    if host.systemd is None:
        return None
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    spec = UnitSpec(
        name=options["name"],
        user=options["user"],
        group=host.user.group if host.user else options["user"],
        extra_group=host.user.groups[0] if host.user and host.user.groups else None,
        systemd_version=supervisor.systemd_version() or 0,
        udev=os.path.exists("/run/udev/control"),
        python=python,
        start_timeout=options["start_timeout"],
        stop_timeout=options["stop_timeout"],
    )
    command = [*base, *nic_args(nics, ports=ports_in(" ".join(base)))]
    return unit_text(spec, command, nics, host.paths)


def _files(options: dict[str, Any]) -> list[tuple[str, str, str]]:
    files = [("image", options["image"], "rw"), ("kernel", options["kernel"], "r"), ("initrd", options["initrd"], "r")]
    return [entry for entry in files if entry[1]]


def _result(
    wanted: Wanted, found: Found, steps: list[Step], host: converge.Host, accelerator: str | None
) -> dict[str, Any]:
    before = _state_of(found)
    after: dict[str, Any] = {"state": wanted.state}
    later = at_next_start(wanted, found)
    command = list(found.running.base if found.running and later else wanted.base)
    if wanted.state == "started":
        after.update(command=command, nics={f"nic{nic.nic}": nic.mac for nic in wanted.nics})
    kept = {nic.nic: nic.mac for nic in wanted.nics}
    # A guest that is only stopped keeps its NICs for the next start.
    live = found.running.nics if found.running and wanted.state != "stopped" else {}
    guest = {
        "name": wanted.name,
        "state": wanted.state,
        "pid": host.pid(),
        "user": host.user.name if host.user else None,
        "accelerator": accelerator,
        "command": command,
        "at_next_start": later,
        "nics": [{"nic": number, "mac": mac} for number, mac in sorted(kept.items())],
        "qmp_socket": host.paths.socket,
        "console": host.paths.console,
        "log": host.paths.log,
        "unit": host.systemd.unit if host.systemd else None,
    }
    released = [{"nic": number, "mac": nic.mac} for number, nic in sorted(live.items()) if kept.get(number) != nic.mac]
    return {
        "changed": bool(steps),
        "actions": [step.text for step in steps],
        "diff": {"before": before, "after": after if steps else before},
        "guest": guest,
        "released": released,
    }


def _state_of(found: Found) -> dict[str, Any]:
    if found.running is None:
        return {"state": "stopped" if found.files or found.unit else "absent"}
    nics = {f"nic{number}": nic.mac for number, nic in sorted(found.running.nics.items())}
    return {"state": "started", "command": list(found.running.base), "nics": nics}
