# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The supervisor of a QEMU: systemd, or only a pid file. Both answer the same questions."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence

from .._core.errors import HostError, Refused
from .._system import text_file
from .._system.command import run
from . import files, process
from .command_line import monitor, name_of, name_word
from .paths import Paths
from .plan import Process
from .qemu import QemuNic
from .spawn import spawn
from .unit import is_ours, setpriv, unit_name

#: plain names that are also what 1.0 made of other names
_SHARED_IN_1_0 = re.compile(r".*-[0-9a-f]{12}")
_PID = re.compile(r"[1-9][0-9]{0,9}")


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
    """No supervisor: we start the process, and two files in a directory of root's tell which one it is."""

    def __init__(self, guest: str, paths: Paths) -> None:
        self._guest = guest
        self._paths = paths

    def process(self) -> Process | None:
        """The guest's process, None when it does not run. A number that became another process's is not believed.

        :raises Refused: it is that of another guest, to which 1.0 gave the same files.
        """
        found = self._process()
        if found is not None and _SHARED_IN_1_0.fullmatch(self._guest) and not self._names(found):
            raise Refused(
                f"nothing was changed: process {found.pid} runs another guest at {self._paths.directory}; stop that"
                " process first"
            )
        return found

    def is_named(self) -> bool:
        """Whether a guest of this very name runs here."""
        found = self._process()
        return found is not None and self._names(found)

    def _names(self, found: Process) -> bool:
        return name_of(process.command_line(found.pid)) == name_word(self._guest)

    def _process(self) -> Process | None:
        number = files.read_note(self._paths.pid_file)
        found = process.look(int(number)) if number and _PID.fullmatch(number) else None
        if found is None:
            return None
        start = files.read_note(self._paths.start_file)
        ours = start == process.note(found) if start is not None else self._is_of_1_0(found)
        return found if ours else None

    def _is_of_1_0(self, found: Process) -> bool:
        """1.0 left no more than the number: it has to be the guest's user, which root gave the console to, and QEMU."""
        with contextlib.suppress(FileNotFoundError):
            if process.user_of(found) != os.lstat(self._paths.console).st_uid:
                return False
        return monitor(self._paths) in process.command_line(found.pid)

    def start(self, command: Sequence[str], nics: Sequence[QemuNic], user: User) -> Process:
        """Start QEMU on its open taps; returns its process."""
        files.make_directory(self._paths, user.uid, user.gid)
        descriptors: list[int] = []
        log = files.open_log(self._paths.log)
        try:
            for nic in nics:
                descriptors += process.open_descriptors(nic)
            started = spawn([*user.become(), *command], descriptors, log)
        finally:
            process.close_all([*descriptors, log])
        for path, text in ((self._paths.start_file, process.note(started)), (self._paths.pid_file, str(started.pid))):
            text_file.replace(path, text_file.read(path, "pid file"), text + "\n", "pid file")
        return started

    def stopped(self) -> None:
        """Clean up after a process that ended."""
        files.clear(self._paths)
        files.remove_file(self._paths.pid_file)
        files.remove_file(self._paths.start_file)


class Systemd:
    """A unit per guest.

    :arg stem: the guest's file name.
    """

    def __init__(self, guest: str, stem: str, unit_dir: str) -> None:
        self._guest = guest
        self.unit = unit_name(stem)
        self.path = os.path.join(unit_dir, self.unit)

    def process(self) -> Process | None:
        """The guest's process, None when the unit is not active.

        :raises Refused: a unit of this name was not written by this collection.
        """
        text = self.text()
        foreign = self.path if text is not None and not self.is_ours() else None
        shown = self._systemctl("show", "--property=MainPID", "--property=FragmentPath", self.unit)
        values = dict(line.partition("=")[::2] for line in shown.splitlines())
        # one that root removed by hand while it runs has no other file, and is ours
        place = values.get("FragmentPath") or self.path
        if foreign is None and os.path.realpath(place) != os.path.realpath(self.path):
            foreign = place
        if foreign is not None:
            raise Refused(
                f"nothing was changed: unit {foreign} was not written by this collection for guest {self._guest}; move"
                " it away if nothing uses it"
            )
        pid = values.get("MainPID", "0")
        return process.look(int(pid)) if _PID.fullmatch(pid) else None

    def start(self, command: Sequence[str], nics: Sequence[QemuNic], user: User) -> Process:  # noqa: ARG002
        """Start the unit, which says all the rest; returns the process."""
        # After failures in a row systemd would refuse for a while.
        self._systemctl("reset-failed", self.unit, check=False)
        self._systemctl("start", self.unit)
        started = self.process()
        if started is None:
            raise HostError(f"unit {self.unit} ended as soon as it was started")
        return started

    def stop(self) -> None:
        """Stop the unit: it presses the power button, waits and then ends QEMU."""
        self._systemctl("stop", self.unit)

    def text(self) -> str | None:
        """Content of the unit file, None when there is none."""
        return text_file.read(self.path, "unit")

    def is_ours(self) -> bool:
        """Whether the unit file is there and this guest's."""
        return is_ours(self.text() or "", self._guest)

    def is_enabled(self) -> bool:
        """Whether the next boot starts it."""
        return self._systemctl("is-enabled", self.unit, check=False).strip() == "enabled"

    def define(self, text: str) -> None:
        """Write the unit file."""
        text_file.replace(self.path, self.text(), text, "unit")
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
        text_file.replace(self.path, self.text(), None, "unit")
        self._systemctl("daemon-reload")
        self._systemctl("reset-failed", self.unit, check=False)

    def _systemctl(self, *words: str, check: bool = True) -> str:
        done = run(["systemctl", *words])
        if check and done.status:
            raise HostError(f"systemctl {' '.join(words)} failed: {done.errors.strip() or done.output.strip()}")
        return done.output


def systemd_version() -> int | None:
    """Version of the systemd that manages this host, None when none does."""
    if not os.path.isdir("/run/systemd/system"):
        return None
    words = run(["systemctl", "--version"]).output.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
