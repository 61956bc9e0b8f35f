# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ways to keep a tap open where a list of a process's descriptors does not show it; run inside a lab namespace.

    python3 tap_keepers.py WAY PATH

Prints "ready" when the tap is open in that way, and keeps it until its standard input closes.
"""

import array
import ctypes
import os
import select
import signal
import socket
import sys
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_FILES = 0x400
# the same numbers on every architecture; struct io_uring_params has 120 bytes
IO_URING_SETUP, IO_URING_REGISTER, REGISTER_FILES, UNREGISTER_FILES = 425, 427, 2, 3


def wait_and_end(let_go=lambda: None):
    print("ready", flush=True)
    sys.stdin.read()
    let_go()
    os._exit(0)


def plain(path):
    os.open(path, os.O_RDWR)
    wait_and_end()


def o_path(path):
    """No opening at all, and no permission needed."""
    os.open(path, os.O_PATH)
    wait_and_end()


def own_table(path):
    """A thread that shares no table of descriptors with the others of its process."""

    def keep():
        assert LIBC.unshare(CLONE_FILES) == 0
        os.open(path, os.O_RDWR)
        wait_and_end()

    threading.Thread(target=keep).start()


def without_leader(path):
    """A process whose first thread has ended."""
    os.open(path, os.O_RDWR)
    leader = os.getpid()

    def keep():
        while not is_zombie(leader):
            pass
        wait_and_end()

    threading.Thread(target=keep).start()
    # the first thread alone, past everything that Python does at an exit
    LIBC.pthread_exit(None)


def is_zombie(pid):
    with open(f"/proc/{pid}/task/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def in_flight(path):
    """Sent through a socket, closed here, and not received."""
    descriptor = os.open(path, os.O_RDWR)
    one, other = socket.socketpair()
    rights = array.array("i", [descriptor])
    one.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    os.close(descriptor)
    keep.extend((one, other))
    wait_and_end()


def io_uring(path):
    """Registered with io_uring and closed."""
    descriptor = os.open(path, os.O_RDWR)
    ring = LIBC.syscall(IO_URING_SETUP, 1, ctypes.create_string_buffer(120))
    assert ring >= 0, os.strerror(ctypes.get_errno())
    files = (ctypes.c_int * 1)(descriptor)
    assert LIBC.syscall(IO_URING_REGISTER, ring, REGISTER_FILES, files, 1) == 0, os.strerror(ctypes.get_errno())
    os.close(descriptor)
    # the kernel takes a ring apart some time after the end of its process
    wait_and_end(lambda: LIBC.syscall(IO_URING_REGISTER, ring, UNREGISTER_FILES, None, 0))


def closed_while_waiting(path):
    """Closed by one thread while another waits for it: not for frames, of which one would end the wait."""
    descriptor = os.open(path, os.O_RDWR)
    waiting = select.poll()
    waiting.register(descriptor, 0)
    waiter = threading.Thread(target=waiting.poll, daemon=True)
    waiter.start()
    # in poll(…, 1, …)
    while words(f"/proc/self/task/{waiter.native_id}/syscall")[2:3] != ["0x1"]:
        pass
    while words(f"/proc/self/task/{waiter.native_id}/stat")[2] != "S":
        pass
    os.close(descriptor)
    wait_and_end()


def words(path):
    with open(path, encoding="ascii") as file:
        return file.read().split()


#: what must not be collected
keep = []

if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    globals()[sys.argv[1]](sys.argv[2])
