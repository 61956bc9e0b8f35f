# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lab that stays when the command that made it ends: for tools that create and destroy in separate runs.

Its owner is a background process; it ends, and with it the lab, on request or when its lifetime is over.
"""

import contextlib
import json
import os
import select
import signal
import sys

from .namespace import LabError


def description_path(state):
    """Return the path of the description of the lab with the state directory ``state``."""
    return os.path.join(state, "lab.json")


def _owner_path(state):
    return os.path.join(state, "lab-owner.json")


def _started(pid):
    """Return when process ``pid`` started (clock ticks since boot): with the PID it names a process for good."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rpartition(")")[2].split()[19])


def up(state, lifetime, build):
    """Start a background process that calls ``build()`` for a Lab and keeps it for ``lifetime`` seconds.

    Writes its description, inventory and owner into the directory ``state``; returns the inventory's path. A lab
    that was there before is taken down. Raises LabError with the builder's words when it fails.
    """
    os.makedirs(state, exist_ok=True)
    down(state)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        os.setsid()
        if os.fork() == 0:
            _own(state, lifetime, build, writer)
        os._exit(0)
    os.close(writer)
    os.wait()
    with open(reader, encoding="utf-8") as pipe:
        answer = json.loads(pipe.read() or '{"error": "the owner of the lab ended at once"}')
    if "error" in answer:
        raise LabError(answer["error"])
    return answer["inventory"]


def _own(state, lifetime, build, writer):
    """Be the owner: build, report through ``writer``, keep the lab, exit."""
    status = 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with build() as lab:
            lab.write_description(description_path(state))
            inventory = lab.write_inventory(os.path.join(state, "inventory.json"))
            with open(_owner_path(state), "w", encoding="utf-8") as file:
                json.dump({"pid": os.getpid(), "started": _started(os.getpid())}, file)
            # Whoever reads our output must not have to wait for us.
            silence = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(silence, descriptor)
            os.write(writer, json.dumps({"inventory": inventory}).encode())
            os.close(writer)
            select.select([], [], [], lifetime)
    except SystemExit:
        pass
    except Exception as exc:  # the process has no other way to tell
        status = 1
        with contextlib.suppress(OSError):
            os.write(writer, json.dumps({"error": str(exc)}).encode())
    finally:
        os._exit(status)


def down(state):
    """End the lab of the directory ``state`` and wait until it has; harmless when there is none."""
    try:
        with open(_owner_path(state), encoding="utf-8") as file:
            owner = json.load(file)
        process = os.pidfd_open(owner["pid"])
    except (FileNotFoundError, ProcessLookupError):
        process = None
    if process is not None:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if _started(owner["pid"]) == owner["started"]:
                signal.pidfd_send_signal(process, signal.SIGTERM)
                if not select.select([process], [], [], 30)[0]:
                    signal.pidfd_send_signal(process, signal.SIGKILL)
                    select.select([process], [], [], 30)
        os.close(process)
    for path in (_owner_path(state), description_path(state), os.path.join(state, "inventory.json")):
        with contextlib.suppress(FileNotFoundError):
            os.remove(path)
