# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""Who looks after a QEMU: systemd, or nobody but a pid file. Both answer the same questions."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Sequence

from ansible_collections.linuxnet.macvtap.plugins.module_utils import _command, _text_file
from ansible_collections.linuxnet.macvtap.plugins.module_utils import _qemu_process as process
from ansible_collections.linuxnet.macvtap.plugins.module_utils._errors import HostError
from ansible_collections.linuxnet.macvtap.plugins.module_utils._qemu_args import QemuNic
from ansible_collections.linuxnet.macvtap.plugins.module_utils._qemu_guest import Paths
from ansible_collections.linuxnet.macvtap.plugins.module_utils._qemu_unit import setpriv, unit_name


class User:
    """Whom a guest runs as.

    :arg groups: supplementary groups, for the accelerator.
    """

    def __init__(self, name: str, uid: int, gid: int, group: str, groups: Sequence[str] = ()) -> None:
        self.name = name
        self.uid = uid
        self.gid = gid
        self.group = group
        self.groups = list(groups)

    def become(self) -> list[str]:
        """The command that becomes the user."""
        return setpriv(self.name, self.group, self.groups)


class PidFile:
    """No supervisor: we start the process, and a file in a directory of root's tells its number."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def pid(self) -> int | None:
        """The guest's process, None when it does not run. A number that became another process's is not believed."""
        try:
            with open(self._paths.pid_file, encoding="ascii") as file:
                pid = int(file.read())
        except (FileNotFoundError, ValueError):
            return None
        ours = any(f"path={self._paths.socket}".replace(",", ",,") in word for word in process.command_line(pid))
        return pid if ours and process.is_alive(pid) else None

    def start(self, command: Sequence[str], nics: Sequence[QemuNic], user: User, vhost: bool) -> int:
        """Start QEMU on its open taps; returns its pid."""
        make_directory(self._paths.directory, user)
        before = _text_file.read(self._paths.pid_file, "pid file")
        descriptors: list[int] = []
        log = os.open(self._paths.log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        try:
            for nic in nics:
                descriptors += process.open_descriptors(nic, vhost)
            pid = process.spawn([*user.become(), *command], descriptors, log)
        finally:
            process.close_all([*descriptors, log])
        _text_file.replace(self._paths.pid_file, before, f"{pid}\n", "pid file")
        return pid

    def stopped(self) -> None:
        """Clean up after a process that ended."""
        remove_file(self._paths.socket)
        remove_file(self._paths.pid_file)


class Systemd:
    """A unit per guest."""

    def __init__(self, guest: str, unit_dir: str) -> None:
        self.unit = unit_name(guest)
        self.path = os.path.join(unit_dir, self.unit)

    def pid(self) -> int | None:
        """The guest's process, None when the unit is not active."""
        shown = self._systemctl("show", "--property=MainPID", "--value", self.unit).strip()
        pid = int(shown or 0)
        return pid if pid and process.is_alive(pid) else None

    def start(self, command: Sequence[str], nics: Sequence[QemuNic], user: User, vhost: bool) -> int:  # noqa: ARG002
        """Start the unit, which says all the rest; returns the pid."""
        # After failures in a row systemd would refuse for a while.
        self._systemctl("reset-failed", self.unit, check=False)
        self._systemctl("start", self.unit)
        pid = self.pid()
        if pid is None:
            raise HostError(f"unit {self.unit} ended as soon as it was started")
        return pid

    def stop(self) -> None:
        """Stop the unit: it presses the power button, waits and then ends QEMU."""
        self._systemctl("stop", self.unit)

    def text(self) -> str | None:
        """Content of the unit file, None when there is none."""
        return _text_file.read(self.path, "unit")

    def is_enabled(self) -> bool:
        """Whether the next boot starts it."""
        return self._systemctl("is-enabled", self.unit, check=False).strip() == "enabled"

    def define(self, text: str) -> None:
        """Write the unit file."""
        _text_file.replace(self.path, self.text(), text, "unit")
        self._systemctl("daemon-reload")

    def enable(self, wanted: bool) -> None:
        """Start it at boot, or not."""
        self._systemctl("enable" if wanted else "disable", self.unit)

    def restore(self, text: str | None, enabled: bool) -> None:
        """Put the unit back as it was found."""
        if text is None:
            self.remove()
            return
        self.define(text)
        self.enable(enabled)

    def remove(self) -> None:
        """Forget the unit."""
        self._systemctl("disable", self.unit, check=False)
        _text_file.replace(self.path, self.text(), None, "unit")
        self._systemctl("daemon-reload")
        self._systemctl("reset-failed", self.unit, check=False)

    def _systemctl(self, *words: str, check: bool = True) -> str:
        done = _command.run(["systemctl", *words])
        if check and done.status:
            raise HostError(f"systemctl {' '.join(words)} failed: {done.errors.strip() or done.output.strip()}")
        return done.output


def systemd_version() -> int | None:
    """Version of the systemd that manages this host, None when none does."""
    if not os.path.isdir("/run/systemd/system"):
        return None
    words = _command.run(["systemctl", "--version"]).output.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def make_directory(path: str, user: User) -> None:
    """The directory of the guest's socket: its user's alone."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(descriptor, user.uid, user.gid)
        os.fchmod(descriptor, 0o700)
    finally:
        os.close(descriptor)


def make_log(path: str, uid: int, gid: int) -> int:
    """Make a log file unless it is there; returns its size. A link there is not followed, a FIFO not waited for."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o640)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise HostError(f"{path} is no regular file, and no place for a log; remove it")
        os.fchown(descriptor, uid, gid)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def remove_file(path: str) -> None:
    """Remove a file; harmless when it is gone."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
