# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A file that is open on a FUSE mount whose server answers no more: stat() of it never returns.

    python3 dead_fuse.py DIRECTORY [OPENS]

mounts on DIRECTORY, which needs no privilege in a user and mount namespace of one's own. Prints "ready" when the file
is open and the server silent, and ends when its standard input closes. With OPENS, others may open DIRECTORY/file as
often before the server is silent.
"""

import ctypes
import os
import struct
import sys
import threading

# linux/fuse.h
IN_HEADER, OUT_HEADER = struct.Struct("=IIQQIIII"), struct.Struct("=IiQ")
LOOKUP, GETATTR, OPEN, INIT = 1, 3, 14, 26
ENOSYS = 38
FILE = 2


def attributes(node):
    """struct fuse_attr, valid for no time at all."""
    mode = 0o100644 if node == FILE else 0o040755
    return struct.pack("=6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(operation, node):
    if operation == INIT:
        return struct.pack("=IIIIHHIIHHII", 7, 31, 4096, 0, 1, 1, 4096, 1, 1, 0, 0, 0) + bytes(24)
    if operation == LOOKUP:
        return struct.pack("=QQQQII", FILE, 0, 0, 0, 0, 0) + attributes(FILE)
    if operation == GETATTR:
        return struct.pack("=QII", 0, 0, 0) + attributes(node)
    if operation == OPEN:
        return struct.pack("=QII", 1, 0, 0)
    return None


def serve(device, opens):
    """Answer until the file was opened so often, and never again."""
    while opens:
        request = os.read(device, 1 << 17)
        _length, operation, unique, node, *_who = IN_HEADER.unpack_from(request)
        payload = answer(operation, node)
        header = OUT_HEADER.pack(16 + len(payload or b""), 0 if payload is not None else -ENOSYS, unique)
        opens -= operation == OPEN
        os.write(device, header + (payload or b""))


def main(directory, opens="0"):
    device = os.open("/dev/fuse", os.O_RDWR)
    options = b"fd=%d,rootmode=40000,user_id=%d,group_id=%d" % (device, os.getuid(), os.getgid())
    options += b",allow_other" if int(opens) else b""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(b"none", directory.encode(), b"fuse", 0, options) == 0, os.strerror(ctypes.get_errno())
    threading.Thread(target=serve, args=(device, 2 + int(opens)), daemon=True).start()
    # once it was told that the server knows no such request, the kernel waits for no answer at a close
    os.close(os.open(directory + "/file", os.O_RDONLY))
    os.open(directory + "/file", os.O_RDONLY)
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)


main(*sys.argv[1:])
