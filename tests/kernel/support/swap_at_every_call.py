# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs in the lab: what lies at a tap's path is swapped for a decoy right before the k-th system call, for each k.

Every operation on a node (owner and mode, removal, replacement of a stale one, opening for QEMU) is tried with every
decoy, swapped once at each of its system calls and also swapped back at each later one. Afterwards the decoy, and
what it points to, must be as it was, and lie at one of the two paths or still be where it was made; and nothing but
the very device may have been opened or changed. Prints a line of JSON: the number of cases and those that broke a rule.
"""

import contextlib
import ctypes
import itertools
import json
import os
import shutil
import stat
import sys

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import MacvtapError
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest import process
from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.qemu import QemuNic
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system import tap_node

DIRECTORY = "/dev/swapped"
PATH, ASIDE, DECOY, VICTIM = (DIRECTORY + name for name in ("/tap7", "/.tap7.leaving", "/decoy", "/victim"))
#: stands for the tap: it opens without harm; the decoys are other devices
NUMBER, STALE, OTHER = (1, 5), (1, 7), (1, 3)
NIC = QemuNic(0, "02:00:00:00:00:01", 1500, 1, PATH, NUMBER)

exchange = ctypes.CDLL(None, use_errno=True).renameat2


def swap():
    """Exchange what lies at the two paths, whatever it is; nothing happens when one is missing."""
    exchange(-100, PATH.encode(), -100, DECOY.encode(), 2)


def node(path, number, mode=0o604):
    os.mknod(path, stat.S_IFCHR | mode, os.makedev(*number))
    os.chmod(path, mode)


DECOYS = {
    "symbolic link to a file": lambda: os.symlink(VICTIM, DECOY),
    "symbolic link to the device": lambda: os.symlink("/dev/zero", DECOY),
    "symbolic link to a directory": lambda: os.symlink(DIRECTORY, DECOY),
    "hard link": lambda: os.link(VICTIM, DECOY),
    "regular file": lambda: shutil.copy2(VICTIM, DECOY),
    "FIFO": lambda: os.mkfifo(DECOY),
    "directory": lambda: os.mkdir(DECOY),
    "another device": lambda: node(DECOY, OTHER),
    "block device": lambda: os.mknod(DECOY, stat.S_IFBLK | 0o604, os.makedev(7, 0)),
}


def replace():
    """What the plan does with a stale node."""
    tap_node.remove(PATH, STALE)
    tap_node.make(PATH, NUMBER)


#: operation → device number of the node that it begins with
OPERATIONS = {
    "own": (lambda: tap_node.own(PATH, NUMBER, 65534, 65534, 0o622), NUMBER),
    "remove": (lambda: tap_node.remove(PATH, NUMBER), NUMBER),
    "replace": (replace, STALE),
    "open": (lambda: process.close_all(process.open_descriptors(NIC)), NUMBER),
}


def facts(path):
    """Everything about what lies at ``path`` that must not change."""
    found = os.lstat(path)
    text = ""
    if stat.S_ISREG(found.st_mode):
        with open(path, encoding="utf-8") as file:
            text = file.read()
    return found.st_ino, found.st_mode, found.st_uid, found.st_gid, found.st_rdev, text


opened = []
#: not empty while an operation runs
watching = []


def watch(event, arguments):
    """Note what is opened below our directory, or through a descriptor, for more than a look."""
    if watching and event == "open" and isinstance(arguments[0], str):
        path, _mode, flags = arguments
        if path.startswith(DIRECTORY) and not flags & os.O_PATH:
            opened.append(path)


def calls_swapping(at):
    """A profile function that swaps right before the system calls of these numbers; and how many there were."""
    count = [0]

    def strike(_frame, event, function):
        if event == "c_call" and getattr(function, "__module__", "") == "posix":
            count[0] += 1
            if count[0] in at:
                swap()

    return strike, count


def run(operation, decoy, at):
    """One case: (number of system calls, what went wrong or "")."""
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    os.mkdir(DIRECTORY)
    with open(VICTIM, "w", encoding="utf-8") as file:
        file.write("stays")
    os.chmod(VICTIM, 0o604)
    work, number = OPERATIONS[operation]
    node(PATH, number, 0o600)
    DECOYS[decoy]()
    lies, victim, real = facts(DECOY), facts(VICTIM), facts("/dev/zero")
    del opened[:]
    strike, count = calls_swapping(at)
    watching.append(operation)
    sys.setprofile(strike)
    try:
        with contextlib.suppress(MacvtapError):
            work()
    except Exception as exc:
        sys.setprofile(None)
        return count[0], "unhandled %r" % exc
    finally:
        sys.setprofile(None)
        watching.clear()
    if opened:
        return count[0], "opened %s" % opened
    if facts(VICTIM) != victim or facts("/dev/zero") != real:
        return count[0], "the victim changed"
    found = [path for path in (PATH, DECOY, ASIDE) if os.path.lexists(path) and facts(path) == lies]
    if len(found) != 1:
        return count[0], "the decoy is gone or changed (%s)" % os.listdir(DIRECTORY)
    return count[0], ""


def main():
    """Every operation, decoy and moment."""
    os.umask(0)
    sys.addaudithook(watch)
    cases, broken = 0, []
    for operation, decoy in itertools.product(OPERATIONS, DECOYS):
        calls, wrong = run(operation, decoy, ())
        last = calls
        for first in range(1, 40):
            if first > last:
                break
            for second in range(first, 40):
                calls, wrong = run(operation, decoy, {first, second})
                cases += 1
                if wrong:
                    broken.append([operation, decoy, first, second, wrong])
                last = max(last, calls)
                if second > calls:
                    break
    shutil.rmtree(DIRECTORY)
    print(json.dumps({"cases": cases, "broken": broken}))


if __name__ == "__main__":
    main()
