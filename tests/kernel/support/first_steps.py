# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A user's machine for a checkout: an odd path, no network, processes, mounts and a /tmp that nobody else uses.

with Machine() as machine:
    status, output = machine.terminal("make demo").rest()
    machine.is_clean()
"""

import contextlib
import errno
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import subprocess
import time

from lab.namespace import Namespace
from module_host import CHECKOUT

#: what tools and people do not expect in a path
PATH = "/mnt/it's a Prüfstand #1 & 100%"
HOME = "/mnt/home"
#: nobody on every system
ORDINARY = 65534
#: variables of whoever runs these tests, such as a make, that a new user does not have
CALLERS = ("VENV", "MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKE_TERMERR", "MAKE_TERMOUT", "MFLAGS")
#: seconds; a machine that does much else is slow
PATIENCE = 600

HOLDER = """
read -r pid rest </proc/self/stat
mount -t proc machine-proc /proc
mount -t tmpfs -o mode=755 machine-mnt /mnt
mkdir -m 777 "$1" "$3"
mount --bind "$1" "$1"
[ ! -d "$2" ] || { mkdir -p "$1/.cache/guest-kernel" && mount --bind "$2" "$1/.cache/guest-kernel"; }
mount -t tmpfs -o mode=1777 machine-tmp /tmp
ip link set lo up
echo "$pid"
exec cat
"""
UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--propagation", "private", "--"]
SURVEY = """
ps -e -o ppid=,pid=,stat=,args= | awk '$2 != 1 && $2 != self && $1 != self && $3 !~ /^Z/' self=$$
cat /proc/self/mounts
ip -o link | sed 's/<.*//'
find /tmp /usr/sbin/policy-rc.d -name 'pytest-of-*' -prune -o -print 2>/dev/null || true
"""


class Machine:
    """A copy of the checkout at PATH, in namespaces and in memory; a context manager."""

    def __init__(self):
        command = [*UNSHARE, "sh", "-euc", HOLDER, "sh", PATH, str(CHECKOUT / ".cache" / "guest-kernel"), HOME]
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._holder = subprocess.Popen(command, **streams)
        self._namespace = Namespace("machine", int(self._holder.stdout.readline()))
        copy_checkout(pathlib.Path(f"/proc/{self._namespace.pid}/root{PATH}"))
        self._before = self.survey()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        with self._holder:
            self._holder.stdin.close()

    def survey(self):
        """Return what a run could leave: processes, mounts, links, temporary files; as lines of text.

        pytest keeps the directories of its last three runs on purpose.
        """
        return self._namespace.run(["sh", "-c", SURVEY]).stdout.splitlines()

    def is_clean(self):
        """Wait until everything is as it was; an AssertionError shows what is not."""
        deadline = time.monotonic() + PATIENCE / 10
        while (now := self.survey()) != self._before:
            assert time.monotonic() < deadline, "\n".join(sorted(set(now) ^ set(self._before)))
            time.sleep(0.05)

    def root(self, script):
        """Run a script inside as root, for the test's own purposes; return what it prints."""
        return self._namespace.run(["sh", "-euc", f'cd "$1"; {script}', "sh", PATH]).stdout

    def words(self, script, online=False, ordinary=False, environment=None):
        """Return the command that runs a script in the checkout, as Popen takes it."""
        enter = [word for word in self._namespace.enter if not (online and word == "--net")]
        user = ["setpriv", f"--reuid={ORDINARY}", f"--regid={ORDINARY}", "--clear-groups", "--"] if ordinary else []
        own = {"HOME": HOME, "PIP_RETRIES": "1", **dict.fromkeys(CALLERS), **(environment or {})}
        unset = [word for name, value in own.items() if value is None for word in ("-u", name)]
        settings = [f"{name}={value}" for name, value in own.items() if value is not None]
        # the shell gets the words, the path is not for it to expand
        return [*enter, "env", "--default-signal", *unset, *settings, *user, "sh", "-c", f'cd "$0" && {script}', PATH]

    def run(self, script, **options):
        """Run a script in the checkout without a terminal; return (status, everything that it prints)."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(self.words(script, **options), text=True, timeout=PATIENCE, check=False, **streams)
        return done.returncode, done.stdout

    def terminal(self, script, **options):
        """Start a script in the checkout in a terminal of its own; return the Terminal."""
        words = self.words(f"exec setsid --ctty {script}", **options)
        return Terminal(words)

    def signal(self, number, pattern):
        """Send a signal to the process whose command line matches; True when there is one."""
        return self._namespace.run(["pkill", f"-{number}", "-o", "-f", pattern], check=False).returncode == 0


class Terminal:
    """A command in a pseudo terminal."""

    def __init__(self, words):
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, close_fds=True)
        os.close(slave)
        self.output = ""

    def until(self, text):
        """Read until the command has written ``text``."""
        while text not in self.output:
            assert self._read(), f"ended before {text!r}:\n{self.output}"

    def press_interrupt(self):
        """Press Ctrl-C."""
        os.write(self._master, b"\x03")

    def close(self):
        """Close the window; return the exit status."""
        os.close(self._master)
        return self._process.wait(PATIENCE)

    def rest(self):
        """Read to the end; return (status, all output)."""
        while self._read():
            pass
        return self.close(), self.output

    def _read(self):
        assert select.select([self._master], [], [], PATIENCE)[0], f"hangs after:\n{self.output}"
        try:
            text = os.read(self._master, 65536)
        except OSError as exc:
            if exc.errno != errno.EIO:  # which says that nobody has it open any more
                raise
            return False
        self.output += text.decode(errors="replace").replace("\r\n", "\n")
        return True


def is_one_sentence(output, *words):
    """Whether it is one line, but for the progress of setup and make's own, that has the words."""
    lines = [line.strip() for line in output.replace("^C", "").splitlines() if line.strip()]
    own = [line for line in lines if not line.startswith("make: ***")]
    said = [line for line in own if not re.match(r"setup: (making|filling|installing) ", line)]
    assert len(said) == 1 and all(word in said[0] for word in words), output
    return True


def copy_checkout(directory):
    """Copy the tracked files, as they are now, and give them to the ordinary user."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(CHECKOUT / name, target, follow_symlinks=False)
    subprocess.run(
        ["find", str(directory), "-xdev", "-exec", "chown", "-h", f"{ORDINARY}:{ORDINARY}", "{}", "+"], check=True
    )


KILL, TERM, HUP = signal.SIGKILL.value, signal.SIGTERM.value, signal.SIGHUP.value
