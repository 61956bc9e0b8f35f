# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The command line of a QEMU guest, without its NICs. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .._core.errors import InvalidInput
from .._core.names import shown
from .paths import Paths
from .qemu import option, root_ports

#: of one argument of a program (MAX_ARG_STRLEN, linux/binfmts.h), with room for the words around a value
_LONGEST_ARGUMENT = (1 << 17) - 64


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
