# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs modules of this collection inside a lab namespace, each in a fresh process, without starting Ansible each time.

What runs is the module's own file with the real AnsibleModule; only the controller is left out. Requests and answers
are lines of JSON on standard input and output:

    {"module": "macvtap_attach", "arguments": {…}}  →  {"status": 0, "stdout": "{…}", "stderr": ""}

A request may also ask for bad luck. The calls that change the host or talk to the kernel (see EFFECTS) are counted from
1: ``"kill_at": 7`` kills the process with SIGKILL right before the 7th, ``"fail_at": [7, 28]`` lets it fail with errno
28 instead. Finer points, which can be told, made to fail in many ways, and waited at: fault_points.py. A process that
waits is told in a line of its own, and goes on with the next line of input, whatever that is:

    {"paused": true}

A request can also be a script in Python, run in a process of its own like a module, which takes no time to start:

    {"script": "…", "arguments": […]}  →  as above
"""

import contextlib
import importlib
import json
import os
import runpy
import signal
import sys

from ansible.module_utils import basic
from fault_points import PLUGINS, Points

#: imported once, before the modules: half of the time of a run goes into imports
ROOMS = ("_task.attachments", "_task.network", "_libvirt.domain", "_task.run", "_link.select")
PRELOADED = (*(PLUGINS + "module_utils." + room for room in ROOMS), "pyroute2")
#: what a request may ask of fault_points.py
FINER_LUCK = ("record", "fault", "pause_at")
#: names of the C functions through which a module acts: netlink messages, device nodes, sysctls, definition files
EFFECTS = frozenset("send mknod unlink chown chmod fchmod rename mkdir fsync write".split())


def bad_luck(request):
    """Return a profile function that strikes when the call is reached that ``request`` names, or None."""
    kill_at = request.get("kill_at")
    fail_at, number = request.get("fail_at") or (None, None)
    if kill_at is None and fail_at is None:
        return None
    calls = 0

    def strike(_frame, event, function):
        nonlocal calls
        if event != "c_call" or getattr(function, "__name__", "") not in EFFECTS:
            return
        calls += 1
        if calls == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if calls == fail_at:
            raise OSError(number, os.strerror(number))

    return strike


def run_module(request, points):
    """Be the module."""
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": request["arguments"]}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    sys.argv = [request["module"]]
    if any(key in request for key in FINER_LUCK):
        points.install()
    sys.setprofile(bad_luck(request))
    runpy.run_module(PLUGINS + "modules." + request["module"], run_name="__main__")


def run_script(request):
    sys.argv = ["-", *request["arguments"]]
    exec(compile(request["script"], "script", "exec"), {"__name__": "__main__"})


def be(request, told):
    """Be what the request wants: never returns.

    ``told``: descriptor of the file for the points that are asked for.
    """
    status = 1
    points = Points(request)
    try:
        if "script" in request:
            run_script(request)
            status = 0
        else:
            run_module(request, points)
    except SystemExit as exit_:
        status = exit_.code or 0
    except BaseException:
        sys.setprofile(None)
        sys.excepthook(*sys.exc_info())
    finally:
        sys.setprofile(None)
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(told, json.dumps(points.told).encode())
        os._exit(status)


def wait_for(child):
    """How a process ended; tells when it waits, and lets it go on when that is asked for."""
    while True:
        _pid, status = os.waitpid(child, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        print(json.dumps({"paused": True}), flush=True)
        sys.stdin.readline()
        os.kill(child, signal.SIGCONT)


def answer(request):
    """Run the module in a process of its own; return how it ended and what it printed."""
    outputs = [os.memfd_create(name) for name in ("stdout", "stderr", "points")]
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for target, output in enumerate(outputs[:2], start=1):
            os.dup2(output, target)
        be(request, outputs[2])
    status = wait_for(child)
    texts = []
    for output in outputs:
        with open(output, "rb") as file:
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return {"status": status, "stdout": texts[0], "stderr": texts[1], "points": json.loads(texts[2] or "null")}


def preload():
    """Import what all modules need, as far as it is there: a runner may have been started without a library."""
    for name in PRELOADED:
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)


def main():
    """Serve requests until standard input closes."""
    preload()
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
