# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs inside a hypervisor of the lab: times one module run, or one command, without what starting it there costs.

Reads one JSON object from standard input and writes one:
    {"module": "macvtap_attach", "arguments": {…}, "rooms": false, "profile": null}  a module, in a process of its own
    {"command": ["sh", "-c", "…"], "input": "…"}                                     any command
"""

import functools
import importlib
import io
import json
import resource
import subprocess
import sys
import time

COLLECTION = "ansible_collections.linuxnet.macvtap.plugins"

#: what a room's time is made of: (module, class or None, functions)
ROOMS = {
    "netlink: look": [("_system.rtnetlink", "Netlink", ["links"])],
    "netlink: make and change": [("_system.rtnetlink", "Netlink", ["create", "change"])],
    "netlink: delete": [("_system.rtnetlink", "Netlink", ["delete"])],
    "sysctl disable_ipv6": [("_system.rtnetlink", None, ["set_ipv6"])],
    "tap nodes": [
        (
            "_system.tap_node",
            None,
            ["device_number", "require_device_number", "look", "look_at", "foreign_nodes", "make", "remove", "own"],
        )
    ],
    "who holds a tap": [("_holders", None, ["holders"])],
    "udev": [("_system.tap_node", None, ["settle"])],
}


class Stopwatch:
    """Adds up the time inside functions; what a function spends in others that are watched counts for it alone."""

    def __init__(self):
        self.seconds = {}
        self._inside = False

    def watch(self, owner, name, room):
        """Replace ``owner.name`` by one that is timed under ``room``."""
        function = getattr(owner, name, None)
        if function is None:
            return

        @functools.wraps(function)
        def timed(*arguments, **options):
            if self._inside:
                return function(*arguments, **options)
            self._inside = True
            started = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds[room] = self.seconds.get(room, 0.0) + time.perf_counter() - started
                self._inside = False

        setattr(owner, name, timed)


def spent(who):
    """User and system seconds of this process (RUSAGE_SELF) or of the children it has waited for."""
    usage = resource.getrusage(who)
    return usage.ru_utime, usage.ru_stime


def peak_kib():
    """Peak resident memory of this process: VmHWM, since ru_maxrss also remembers what was there before exec."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def run_module(request):
    """Run a module's main() as AnsiballZ would; the clock runs from after the imports to its exit."""
    started = time.perf_counter()
    from ansible.module_utils import basic

    module = importlib.import_module(f"{COLLECTION}.modules.{request['module']}")
    imported = time.perf_counter()

    stopwatch = Stopwatch()
    if request.get("rooms"):
        for room, places in ROOMS.items():
            for name, class_name, functions in places:
                owner = importlib.import_module(f"{COLLECTION}.module_utils.{name}")
                for function in functions:
                    stopwatch.watch(getattr(owner, class_name) if class_name else owner, function, room)
    work = Stopwatch()
    work.watch(module, "work", "work")

    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": request["arguments"]}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    profiler = None
    if request.get("profile"):
        import cProfile

        profiler = cProfile.Profile()
    output, real_output = io.StringIO(), sys.stdout
    sys.stdout = output
    before, started_main = spent(resource.RUSAGE_SELF), time.perf_counter()
    try:
        if profiler:
            profiler.runcall(module.main)
        else:
            module.main()
    except SystemExit:
        pass
    seconds, after = time.perf_counter() - started_main, spent(resource.RUSAGE_SELF)
    sys.stdout = real_output
    if profiler:
        profiler.dump_stats(request["profile"])
    result = json.loads(output.getvalue())
    return {
        "seconds": seconds,
        "work": sum(work.seconds.values()),
        "user": after[0] - before[0],
        "system": after[1] - before[1],
        "imports": imported - started,
        "peak_kib": peak_kib(),
        "rooms": stopwatch.seconds,
        "output_bytes": len(output.getvalue()),
        "failed": result.get("msg", "failed") if result.get("failed") else None,
        "changed": result.get("changed"),
        "count": len(result.get("attachments", [])),
    }


def run_command(request):
    """Run a command to its end."""
    before, started = spent(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        request["command"], input=request.get("input", ""), capture_output=True, text=True, check=False
    )
    seconds, after = time.perf_counter() - started, spent(resource.RUSAGE_CHILDREN)
    return {
        "seconds": seconds,
        "user": after[0] - before[0],
        "system": after[1] - before[1],
        "failed": (done.stderr or done.stdout).strip()[-2000:] or "failed" if done.returncode else None,
        "output": done.stdout[:10000],
    }


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    print(json.dumps((run_module if "module" in asked else run_command)(asked)))
