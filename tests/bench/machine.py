# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the figures were measured on: enough to compare machines, nothing that names one."""

import importlib.metadata
import os
import platform
import re
import resource
import subprocess
import time


def describe(checkout):
    """Return the machine and the versions as a dict of texts and numbers."""
    return {
        "kernel": platform.release(),
        "processor": _first(r"^model name\s*:\s*(.*)$", "/proc/cpuinfo") or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(_first(r"^MemTotal:\s*(\d+)", "/proc/meminfo")) / 1024**2, 1),
        "distribution": _first(r'^PRETTY_NAME="?([^"\n]*)', "/etc/os-release"),
        "python": platform.python_version(),
        **{name: _package(name) for name in ("ansible-core", "pyroute2", "lxml")},
        "iproute2": _said(["ip", "-V"], r"iproute2-([\w.]+)"),
        "libvirt": _said(["libvirtd", "--version"], r"([\d.]+)\s*$"),
        "qemu": _said(["qemu-system-x86_64", "--version"], r"version ([\d.]+)"),
        "nice value of the benchmark's session": _first(r"nice (\S+)", "/proc/self/autogroup"),
        "collection": _first(r"^version:\s*(\S+)", os.path.join(checkout, "galaxy.yml")),
        "commit": _said(["git", "-C", checkout, "describe", "--always", "--dirty", "--exclude=*"], r"(\S+)"),
    }


class Others:
    """How busy the machine is with what is not ours, in processors, from the making of this object to ``busy()``."""

    def __init__(self):
        self._start = self._read()

    def busy(self):
        """Processors in use by others, hypervisor and kernel threads included."""
        clock, all_of_it, ours = (now - then for now, then in zip(self._read(), self._start))
        return round(max(0.0, all_of_it - ours) / clock, 2)

    @staticmethod
    def _read():
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _idle, _wait, interrupt, soft, steal = map(int, file.readline().split()[1:9])
        busy = (user + nice + system + interrupt + soft + steal) / os.sysconf("SC_CLK_TCK")
        usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return time.monotonic(), busy, sum(usage.ru_utime + usage.ru_stime for usage in usages)


def wait_for_quiet(busy, patience=120):
    """Wait until others use less than ``busy`` processors for a second, for ``patience`` seconds at most."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        others = Others()
        time.sleep(1)
        if others.busy() < busy:
            return


def _first(pattern, path):
    try:
        with open(path, encoding="utf-8") as file:
            found = re.search(pattern, file.read(), re.MULTILINE)
    except OSError:
        return None
    return found.group(1).strip() if found else None


def _package(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _said(command, pattern):
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    found = re.search(pattern, done.stdout.strip())
    return found.group(1) if found else None
