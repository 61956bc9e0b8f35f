# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One namespace of the lab: its holder process, and ways to run commands inside."""

import json
import os
import shlex
import shutil
import subprocess
import sys

HOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "holder.py")
CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = ("ip", "mount", "nsenter", "setpriv", "unshare")

# A command dies with whoever started it from outside: killing the visible nsenter must kill the command as well.
DIE_WITH_PARENT = ["setpriv", "--pdeathsig", "KILL", "--"]
UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--propagation", "private"]

WRAPPER = """\
#!/bin/sh
# An interpreter of {name}. A task that runs in the background starts it once more from the inside.
[ "$LINUXNET_LAB" = {name} ] && exec {python} "$@"
LINUXNET_LAB={name} exec {enter} {python} "$@"
"""


class LabError(Exception):
    """The lab cannot be built here; the text says why."""


class CommandFailed(subprocess.CalledProcessError):
    """A command in the lab failed; unlike the base class its text carries what the command said."""

    def __str__(self):
        said = "\n".join(text.strip() for text in (self.stdout, self.stderr) if text and text.strip())
        return f"{super().__str__()}\n{said}"


def require_lab_support():
    """Raise LabError when this process cannot make namespaces: not root, or a tool is missing."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        raise LabError(f"the lab needs {', '.join(missing)} (Debian: iproute2, mount, util-linux)")
    if os.geteuid() != 0:
        raise LabError("the lab needs root: it makes network and mount namespaces")


class Holder:
    """The process that keeps one set of namespaces alive, until close() or until the thread that made it ends.

    Arguments: ``name``, for messages; ``directory``, of the machine, to remain visible inside.
    Attribute: ``pid``, whose /proc entry leads to the namespaces.
    """

    def __init__(self, name, directory):
        # pdeathsig covers an owner that is killed; the pipe covers one that died before pdeathsig was set.
        command = [*DIE_WITH_PARENT, *UNSHARE, sys.executable, "-I", HOLDER, CHECKOUT, directory]
        # No stream is inherited: who reads our caller's output would wait for the end of the lab.
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self._process = subprocess.Popen(command, cwd="/", start_new_session=True, **streams)
        answer = self._process.stdout.readline()
        report = json.loads(answer) if answer else {"error": self._process.stderr.read().decode().strip()}
        if "error" in report:
            self.close()
            raise LabError(f"{name}: {report['error']}")
        self.pid = report["pid"]

    def close(self):
        """End every process inside and the namespaces with them."""
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._process.stderr.close()


class Namespace:
    """A network, mount and PID namespace that the process ``pid`` holds.

    Attribute: ``enter``, the command words that put the command after them inside.
    """

    def __init__(self, name, pid):
        self.name = name
        self.pid = pid
        self.enter = ["nsenter", "--target", str(pid), "--net", "--mount", "--pid", "--", *DIE_WITH_PARENT]
        self._spawned = []

    def run(self, command, check=True, timeout=120, text=True, **options):
        """Run ``command`` (a list) inside, in the directory /; return the CompletedProcess with its output captured.

        Raises CommandFailed when it fails and ``check`` is true; ``options`` go to subprocess.run.
        """
        if "stdout" not in options and "stderr" not in options:
            options["capture_output"] = True
        options = self._with_environment(options)
        done = subprocess.run(self.enter + list(command), check=False, timeout=timeout, text=text, **options)
        if check and done.returncode:
            raise CommandFailed(done.returncode, list(command), done.stdout, done.stderr)
        return done

    def spawn(self, command, **options):
        """Start ``command`` (a list) inside, for the namespace's life at most; return its Popen.

        Killing that kills the command.
        """
        process = subprocess.Popen(self.enter + list(command), **self._with_environment(options))
        self._spawned.append(process)
        return process

    def ip(self, *lines):
        """Carry out lines of ``ip`` commands in one call, in this network namespace, but with the machine's PIDs."""
        command = ["nsenter", "--target", str(self.pid), "--net", "--", "ip", "-batch", "-"]
        done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandFailed(done.returncode, list(lines), done.stdout, done.stderr)

    def write_interpreter(self, directory, python):
        """Write a script that runs ``python`` inside, for ansible_python_interpreter; return its path."""
        path = os.path.join(directory, f"python-{self.name}")
        with open(path, "w", encoding="utf-8") as wrapper:
            wrapper.write(WRAPPER.format(name=self.name, python=shlex.quote(python), enter=shlex.join(self.enter)))
        os.chmod(path, 0o755)
        return path

    def reap(self):
        """Wait for what spawn() started and what the end of the namespace has killed."""
        for process in self._spawned:
            process.wait(10)

    def _with_environment(self, options):
        return dict(options, env=dict(options.get("env") or os.environ, LINUXNET_LAB=self.name))
