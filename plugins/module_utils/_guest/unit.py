# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The systemd unit of a guest, as text. PURE.

systemd 253 and later opens the taps itself (``OpenFile=``). Before, a shell of three words does, as root, and hands
over to ``setpriv``; either way QEMU starts as its own user with the descriptors open, and the nodes stay root's. Both
open a path; whether it was the right device is seen after that, before QEMU has it (:mod:`_system.tap_guard`).
"""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Sequence
from typing import NamedTuple

from .._core.errors import InvalidInput
from .._core.names import shown, unit_escaped
from .paths import Paths
from .qemu import FIRST_FD, QemuNic, fd_paths, open_files, redirections, tap_guard
from .scripts import POWER_DOWN, TAKE

#: the first systemd that knows ``OpenFile=``
OPEN_FILE_VERSION = 253
_RUNTIME = re.compile(r"/run/[A-Za-z0-9_./-]+")
#: of a line that systemd reads (LONG_LINE_MAX in systemd's def.h), less the newline
_LONGEST_LINE = (1 << 20) - 1
#: dash, the /bin/sh of Debian, knows descriptors of one digit only
_LAST_FD_OF_SH = 9

_COLLECTION = "collection linuxnet.macvtap"
_UNIT = f"""\
# Written by Ansible ({_COLLECTION}); changes will be overwritten.
"""
_UNIT += """\
[Unit]
Description={description}
After=network.target{devices}
{wants}
[Service]
Type=exec
UMask=0077
LimitCORE=0
User={user}
Group={group}
{groups}RuntimeDirectory={runtime}
RuntimeDirectoryMode=0700
NoNewPrivileges=yes
{capabilities}{open_files}ExecStart={start}
ExecStartPost=+{take} $MAINPID
ExecStop=-+{stop} $MAINPID
TimeoutStartSec={start_timeout}
TimeoutStopSec={timeout}
KillMode=mixed
StandardOutput=append:{log}
StandardError=append:{log}

[Install]
WantedBy=multi-user.target
"""


class UnitSpec(NamedTuple):
    """What the unit says beside the command line."""

    name: str
    user: str
    group: str
    #: group that may use the accelerator, or None
    extra_group: str | None
    systemd_version: int
    #: whether udev runs: only then there are device units to wait for
    udev: bool
    #: to run the two scripts of _qemu_scripts
    python: str
    start_timeout: int
    stop_timeout: int


def unit_name(stem: str) -> str:
    """Name of a guest's unit.

    :arg stem: the guest's file name.
    """
    return f"qemu-guest-{stem}.service"


def is_ours(text: str, guest: str) -> bool:
    """Whether :func:`unit_text` (also that of 1.0) made a unit for this guest, whatever was edited since."""
    first, *lines = text.split("\n")
    return _COLLECTION in first and f"Description={_description(guest)}" in lines


def _description(guest: str) -> str:
    # in parentheses, since a backslash at the end of a line would join the next one to it
    return _plain(f"QEMU guest {guest}" if guest[-1] != "\\" else f"QEMU guest ({guest})", "name")


def unit_text(spec: UnitSpec, command: Sequence[str], nics: Sequence[QemuNic], paths: Paths) -> str:
    """The unit file.

    :raises InvalidInput: naming what a unit cannot hold.
    """
    if not _RUNTIME.fullmatch(paths.directory):
        raise InvalidInput(
            "with systemd, which makes it, runtime_dir must lie below /run and have a plain name; not"
            f" {paths.directory}"
        )
    hands_over = spec.systemd_version >= OPEN_FILE_VERSION
    devices = [
        f"sys-subsystem-net-devices-{unit_escaped(nic.ifname)}.device" for nic in nics if nic.ifname and spec.udev
    ]
    files = open_files(nics) if hands_over else []
    guarded = [*tap_guard(nics), *command]
    start = unit_words(guarded) if hands_over else _through_shell(spec, command, nics)
    text = _UNIT.format(
        description=_description(spec.name),
        devices="".join(" " + unit for unit in devices),
        wants=f"Wants={' '.join(devices)}\n" if devices else "",
        user=spec.user,
        group=spec.group,
        groups=f"SupplementaryGroups={spec.extra_group}\n" if spec.extra_group else "",
        runtime=paths.directory[len("/run/") :],
        open_files="".join(f"OpenFile={file}\n" for file in files),
        # An empty set would take setpriv's own right to change the user, which drops the capabilities itself.
        capabilities="" if start.startswith("!") else "CapabilityBoundingSet=\n",
        start=start,
        take=unit_words([spec.python, "-Ic", TAKE, paths.socket, str(spec.start_timeout)]),
        stop=unit_words([spec.python, "-Ic", POWER_DOWN, paths.socket, str(spec.stop_timeout)]),
        start_timeout=spec.start_timeout + 15,
        timeout=spec.stop_timeout + 15,
        log=_plain(paths.log, "log_dir"),
    )
    longest = max(len(line.encode()) for line in text.split("\n"))
    if longest > _LONGEST_LINE:
        raise InvalidInput(
            f"the command line of guest {spec.name} takes {longest} bytes in its unit, of which systemd reads"
            f" {_LONGEST_LINE}; shorten append or extra_args"
        )
    return text


def _through_shell(spec: UnitSpec, command: Sequence[str], nics: Sequence[QemuNic]) -> str:
    """The start for a systemd without ``OpenFile=``; ``!`` keeps root's rights for opening, ``setpriv`` drops them."""
    if not nics:
        return unit_words(command)
    opened = [path for nic in nics for path in fd_paths(nic)]
    shell = "/bin/sh" if FIRST_FD + len(opened) - 1 <= _LAST_FD_OF_SH else "/bin/bash"
    # A shell that finds no node creates a regular file in its place.
    tests = [f"[ -c {shlex.quote(path)} ]" for path in dict.fromkeys(opened)]
    script = " && ".join(tests) + ' && exec "$@" ' + " ".join(redirections(nics))
    drop = setpriv(spec.user, spec.group, [spec.extra_group] if spec.extra_group else [])
    return "!" + unit_words([shell, "-c", script, "sh", *tap_guard(nics), *drop, *command])


def setpriv(user: str, group: str, groups: Sequence[str]) -> list[str]:
    """The command that becomes ``user`` for good, and nothing else of ours: it replaces itself by what follows."""
    chosen = ["--groups", ",".join(groups)] if groups else ["--clear-groups"]
    return [
        "/usr/bin/setpriv",
        *("--reuid", user, "--regid", group, *chosen),
        *("--inh-caps", "-all", "--bounding-set", "-all", "--no-new-privs", "--"),
    ]


def unit_words(command: Sequence[str]) -> str:
    """A command as the value of ``ExecStart=``, or as its beginning."""
    return " ".join(_word(word) for word in command)


def _word(text: str) -> str:
    """One word of a unit's command line: systemd expands % and $, and knows C's escapes within quotes."""
    if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in text):
        raise InvalidInput(
            f"the command line has the word {shown(text)}, which a unit cannot hold; remove what is no text"
        )
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    if not text.isprintable():
        escaped = "".join(c if c.isprintable() else "".join(f"\\x{b:02x}" for b in c.encode()) for c in escaped)
    safe = set(string.ascii_letters + string.digits + "/._-=,:@+")
    return escaped if text and set(text) <= safe else f'"{escaped}"'


def _plain(text: str, option: str) -> str:
    """The value of a setting that is no command line: only % is special, and what would begin another line."""
    if not text.isprintable():
        raise InvalidInput(f"{option} {shown(text)} has characters that a unit cannot hold; choose another")
    return text.replace("%", "%%")
