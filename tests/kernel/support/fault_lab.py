# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host on which runs of modules are made to fail or to wait at chosen points, and the judgement of what is left."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
from typing import Any, NamedTuple

from fault_cases import BOOT_ROOT, CLEAN, FOREIGN, Case
from module_host import PATIENCE

#: what an error message says when not all could be taken back
SAID = ("Rollback was incomplete", "cannot put /dev/.tap")

#: Runs the shell script that is its argument.
SHELL = "import subprocess, sys; subprocess.run(['sh', '-ec', sys.argv[1]], check=True)"

#: Prints what a module could change: what is ours, and what is not. Directories to look into are its arguments.
LOOK = r"""
import json, os, stat, subprocess, sys
THEIRS = ("lo", "eth0", "eth1", "foreign0", "foreign1")
rows = json.loads(subprocess.run(["ip", "-json", "-details", "address"], capture_output=True, check=True).stdout)
ours, theirs = {}, {}
for row in rows:
    name = row["ifname"]
    # what follows from others: carrier, and what macvtaps count up on their lower device
    flags = sorted(set(row["flags"]) - {"LOWER_UP", "NO-CARRIER", "M-DOWN", "PROMISC", "ALLMULTI"})
    facts = {key: row.get(key) for key in ("ifindex", "address", "mtu", "link", "ifalias", "group", "master", "txqlen")}
    facts["mode"] = row.get("linkinfo", {}).get("info_data", {}).get("mode")
    facts["addresses"] = [found["local"] for found in row["addr_info"] if found["scope"] == "global"]
    try:
        with open("/proc/sys/net/ipv6/conf/%s/disable_ipv6" % name) as file:
            facts["ipv6"] = file.read().strip()
    except FileNotFoundError:
        facts["ipv6"] = None
    counts = {key: row[key] for key in ("promiscuity", "allmulti") if key in row}
    if name in THEIRS:
        theirs[name], ours[name + " counts"] = {**facts, "flags": [flag for flag in flags if flag != "UP"]}, counts
        ours[name + " up"] = "UP" in flags
    else:
        ours[name] = {**facts, "flags": row["flags"], **counts}
    ours.setdefault("MACs of lower devices", {})[name] = theirs.get(name, {}).pop("address", None)
def device(number):
    try:
        return os.path.basename(os.readlink("/sys/dev/char/%d:%d" % (os.major(number), os.minor(number))))
    except OSError:
        return "stale"
for directory in sys.argv[1:]:
    for top, _directories, names in os.walk(directory):
        for name in names:
            path = os.path.join(top, name)
            if directory == "/dev" and not name.startswith(("tap", ".tap")):
                continue
            found = os.lstat(path)
            facts = [found.st_mode, found.st_uid, found.st_gid]
            if stat.S_ISCHR(found.st_mode):
                facts.append(device(found.st_rdev))
            if stat.S_ISREG(found.st_mode):
                with open(path, errors="replace") as file:
                    facts.append(file.read())
            is_theirs = name.startswith(("tap700", "foreign", "10-theirs"))
            (theirs if is_theirs else ours)[path] = facts
print(json.dumps([ours, theirs], sort_keys=True))
"""


class Trial(NamedTuple):
    """How a run ended."""

    #: None when it failed
    result: dict[str, Any] | None
    #: what it said when it failed
    message: str | None
    #: as recorded, see fault_points.py
    points: list | None


class Unhandled(AssertionError):
    """A run ended in something else than a result or one sentence."""


class FaultLab:
    """Prepares cases, runs them, and looks."""

    def __init__(self, host):
        self._host = host
        self._runner = host.start_runner()
        host.run(["sh", "-ec", FOREIGN])

    def prepare(self, case: Case) -> None:
        """A host with what is somebody else's and what the case wants before, and nothing more."""
        script = CLEAN
        for step in case.before:
            if isinstance(step, str):
                script += step
                continue
            self.shell(script)
            script = ""
            assert self.run(*step).message is None
        if script:
            self.shell(script)

    def shell(self, script: str) -> None:
        answer = self._ask({"script": SHELL, "arguments": ["exec 2>&1\n" + script]})
        assert answer["status"] == 0, answer

    def look(self) -> tuple[dict, dict]:
        """(ours, theirs) of everything a module could change."""
        answer = self._ask({"script": LOOK, "arguments": ["/dev", "/etc/macvtap", BOOT_ROOT]})
        assert answer["stderr"] == "", answer["stderr"]
        ours, theirs = json.loads(answer["stdout"])
        return ours, theirs

    def run(self, module: str, options: dict, **luck: Any) -> Trial:
        """Run a module to its end.

        :arg luck: see fault_points.py.
        :raises Unhandled: a traceback, or nothing that Ansible could read.
        """
        return trial(self._ask(request(module, options, **luck)))

    @contextlib.contextmanager
    def paused(self, module: str, options: dict, at: int):
        """A run that waits right before point ``at``; afterwards ``trial`` of the value is how it ended."""
        self._write(request(module, options, pause_at=at))
        run = Paused()
        assert self._read() == {"paused": True}, "the run did not come to that point"
        try:
            yield run
        finally:
            answer = self._ask({"go": "on"})
        run.trial = trial(answer)

    def _ask(self, asked: dict) -> dict:
        self._write(asked)
        return self._read()

    def _write(self, asked: dict) -> None:
        self._runner.stdin.write(json.dumps(asked) + "\n")
        self._runner.stdin.flush()

    def _read(self) -> dict:
        assert select.select([self._runner.stdout], [], [], PATIENCE)[0], "the module hangs"
        return json.loads(self._runner.stdout.readline())


class Paused:
    """Of :meth:`FaultLab.paused`."""

    trial: Trial


def request(module: str, options: dict, **luck: Any) -> dict:
    return {"module": module, "arguments": {**options, "_ansible_diff": True}, **luck}


def trial(answer: dict) -> Trial:
    """How the run ended that a runner answered for."""
    if answer["stderr"] or answer["status"] < 0 or not answer["stdout"]:
        raise Unhandled(answer["stderr"] or str(answer))
    result = json.loads(answer["stdout"])
    if not result.get("failed"):
        return Trial(result, None, answer["points"])
    message = result["msg"]
    if "exception" in result or "Traceback" in message or "\n" in message or not message.strip():
        raise Unhandled(result.get("exception") or message)
    return Trial(None, message, answer["points"])


def says_what_is_left(message: str) -> bool:
    """Whether a message tells that not all could be taken back."""
    return any(words in message for words in SAID)


def says_why(message: str, error: int | str) -> bool:
    """Whether a message names the cause: the errno, or its text; for what was read and makes no sense, what it is."""
    if isinstance(error, str):
        return any(word in message for word in ("/sys", "/proc", "definition", "boot file", "sysfs"))
    # sysfs tells by a missing file that it is another namespace's
    words = [errno.errorcode[error], os.strerror(error), *(["/sys does not show"] if error == errno.ENOENT else [])]
    return any(word in message for word in words)
