# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""One QEMU guest: its command line, its files, and the steps from what runs to what is wanted. PURE.

There is no record of what was started: the command line of the running process and the NICs that QEMU itself reports
are compared with the wanted ones.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from .._core.errors import InvalidInput
from .._core.names import check_guest_name, shown
from .qemu import QemuNic, is_virtio, option, root_ports
from .rx_filter import Filter

#: what a socket address holds (sun_path), without the final zero
_LONGEST_SOCKET = 107
#: NAME_MAX; and PATH_MAX (linux/limits.h), with room for the name of a file
_LONGEST_NAME, _LONGEST_DIRECTORY = 255, 4095 - 256
#: of one argument of a program (MAX_ARG_STRLEN, linux/binfmts.h), with room for the words around a value
_LONGEST_ARGUMENT = (1 << 17) - 64
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,52}")
#: what :func:`file_name` makes of other names, and what lies beside a guest's directory: no plain name may look like it
_RESERVED = re.compile(r".*(--[0-9a-f]{32}|\.pid|\.start|\.links)")
_LONGEST_PREFIX, _DIGEST = 19, 32
#: the same of 1.0, which took such names for plain ones too
_LONGEST_PREFIX_1_0, _DIGEST_1_0 = 40, 12


class Paths(NamedTuple):
    """Where the things of one guest lie."""

    #: holds nothing but the socket; the user's until QEMU listens, then root's
    directory: str
    socket: str
    pid_file: str
    #: which process of that number it is
    start_file: str
    #: which of its NICs are without a cable: QEMU does not tell
    link_file: str
    #: what the guest writes on its serial console
    console: str
    #: what QEMU itself says
    log: str


class GuestSpec(NamedTuple):
    """A guest as it was asked for, without its NICs."""

    name: str
    binary: str
    accelerator: str
    machine: str | None = None
    cpu: str | None = None
    cpus: int = 1
    memory: int = 512
    image: str | None = None
    image_format: str = "qcow2"
    kernel: str | None = None
    initrd: str | None = None
    append: str | None = None
    extra_args: tuple[str, ...] = ()
    sandbox: bool = True


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


def paths_of(stem: str, runtime_dir: str, log_dir: str) -> Paths:
    """Where the guest's files lie.

    :arg stem: the guest's :func:`file_name`.
    :raises InvalidInput: runtime_dir is too long for the address of a socket, or log_dir for a path.
    """
    directory = posixpath.join(runtime_dir, stem)
    socket = posixpath.join(directory, "qmp.sock")
    if len(socket.encode("utf-8", "surrogatepass")) > _LONGEST_SOCKET:
        raise InvalidInput(
            f"runtime_dir {shown(runtime_dir)} is too long: the path of a QMP socket, {shown(socket)}, takes more than"
            f" {_LONGEST_SOCKET} bytes; choose a shorter one"
        )
    log_bytes = log_dir.encode("utf-8", "surrogatepass")
    if len(log_bytes) > _LONGEST_DIRECTORY or any(len(part) > _LONGEST_NAME for part in log_bytes.split(b"/")):
        raise InvalidInput(f"log_dir {shown(log_dir)} is too long for a path; choose a shorter one")
    return Paths(
        directory=directory,
        socket=socket,
        pid_file=posixpath.join(runtime_dir, stem + ".pid"),
        start_file=posixpath.join(runtime_dir, stem + ".start"),
        link_file=posixpath.join(runtime_dir, stem + ".links"),
        console=posixpath.join(log_dir, stem + ".console"),
        log=posixpath.join(log_dir, stem + ".log"),
    )


def file_name(guest: str) -> str:
    """The guest's name where it names files, sockets and units: a plain one as it is. No two guests share one.

    Any other keeps its plain characters and gets a digest: blanks and quotes mean something to systemd, and the address
    of a socket is short.

    :raises InvalidInput: the name cannot be a guest's.
    """
    if not guest or guest in (".", "..") or "/" in guest or not guest.isprintable():
        raise InvalidInput(
            f"guest name {shown(guest)} cannot be: no slash, no control character, not empty, not . or .."
        )
    check_guest_name(guest)
    if _PLAIN_NAME.fullmatch(guest) and not _RESERVED.fullmatch(guest):
        return guest
    return f"{_plain(guest)[:_LONGEST_PREFIX]}--{_digest(guest)[:_DIGEST]}"


def file_name_1_0(guest: str) -> str:
    """What 1.0 called the files of the guest: two guests could share them."""
    if _PLAIN_NAME.fullmatch(guest):
        return guest
    return f"{_plain(guest)[:_LONGEST_PREFIX_1_0]}-{_digest(guest)[:_DIGEST_1_0]}"


def _plain(guest: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", guest)


def _digest(guest: str) -> str:
    return hashlib.sha256(guest.encode()).hexdigest()


def check_spec(spec: GuestSpec) -> None:
    """Refuse what cannot be started.

    :raises InvalidInput: naming option and value.
    """
    if not spec.image and not spec.kernel:
        raise InvalidInput(f"guest {spec.name} has neither image nor kernel: it cannot boot anything")
    for option_name in ("initrd", "append"):
        if getattr(spec, option_name) and not spec.kernel:
            raise InvalidInput(f"guest {spec.name} has {option_name} but no kernel: QEMU passes it to a kernel only")
    for option_name, value in spec._asdict().items():
        texts = [text for text in (value if isinstance(value, tuple) else (value,)) if isinstance(text, str)]
        if any("\0" in text for text in texts):
            raise InvalidInput(
                f"guest {spec.name}: {option_name} {shown(value)} has a NUL, which no argument can; remove it"
            )
        if any(len(text.encode("utf-8", "surrogatepass")) > _LONGEST_ARGUMENT for text in texts):
            raise InvalidInput(
                f"guest {spec.name}: {option_name} {shown(value)} has more than {_LONGEST_ARGUMENT} bytes, which no"
                " argument can; shorten it"
            )
    for option_name, value in (("cpus", spec.cpus), ("memory", spec.memory)):
        if value < 1:
            raise InvalidInput(f"guest {spec.name}: {option_name} {value} is less than 1")


def base_command(spec: GuestSpec, paths: Paths, has_ports: bool = True) -> list[str]:
    """The command line of the guest without its NICs.

    :arg has_ports: whether a machine that needs root ports for hot-plug has them.
    """
    command = [spec.binary, "-name", name_word(spec.name), "-nodefaults", "-no-user-config", "-display", "none"]
    if spec.machine:
        command += ["-machine", spec.machine, *(root_ports(spec.machine) if has_ports else ())]
    command += ["-accel", spec.accelerator]
    cpu = spec.cpu or ("host" if spec.accelerator == "kvm" else None)
    if cpu:
        command += ["-cpu", cpu]
    command += ["-smp", str(spec.cpus), "-m", f"{spec.memory}M"]
    if spec.sandbox:
        # QEMU is given open descriptors and a user of its own: it never needs to become anybody or start anything.
        command += ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
    console = {"backend": "file", "id": "console", "path": paths.console, "append": True}
    command += ["-chardev", monitor(paths), "-mon", "chardev=qmp,mode=control"]
    command += ["-chardev", option(console, first="backend"), "-serial", "chardev:console"]
    if spec.image:
        command += ["-drive", option({"file": spec.image, "format": spec.image_format, "if": "virtio"})]
    for name, value in (("-kernel", spec.kernel), ("-initrd", spec.initrd), ("-append", spec.append)):
        if value:
            command += [name, value]
    return command + list(spec.extra_args)


def monitor(paths: Paths) -> str:
    """The word of the command line that makes the control socket."""
    values = {"backend": "socket", "id": "qmp", "path": paths.socket, "server": True, "wait": False}
    return option(values, first="backend")


def name_of(command: Sequence[str]) -> str | None:
    """The word of a command line that names its guest, as :func:`name_word` makes it."""
    return next((word for before, word in zip(command, command[1:]) if before == "-name"), None)


def name_word(guest: str) -> str:
    """The word of the command line that names the guest."""
    return option({"guest": guest})


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
