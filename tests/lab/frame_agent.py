# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs inside a lab namespace for frames.py: holds a tap or an interface open and moves frames on request.

Requests and answers are lines of JSON on standard input and output.
"""

import errno
import fcntl
import json
import os
import select
import socket
import stat
import struct
import sys
import time

# From linux/if_tun.h, with the ioctl numbering that all architectures but alpha, mips, powerpc and sparc use.
TUNGETIFF = 0x800454D2
TUNGETVNETHDRSZ = 0x800454D7
IFF_VNET_HDR = 0x4000
ETH_P_ALL = 3
LONGEST_READ = 65536 + 64


def open_tap(path):
    """Return (descriptor, length of the virtio header before each frame)."""
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    if not stat.S_ISCHR(os.fstat(descriptor).st_mode):
        raise OSError(errno.ENODEV, "not a character device")
    request = fcntl.ioctl(descriptor, TUNGETIFF, bytes(40))
    flags = struct.unpack_from("H", request, 16)[0]
    header = struct.unpack("i", fcntl.ioctl(descriptor, TUNGETVNETHDRSZ, bytes(4)))[0] if flags & IFF_VNET_HDR else 0
    return descriptor, header


def open_interface(name):
    """Return (descriptor, 0) of a packet socket on the interface."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    packets.bind((name, 0))
    packets.setblocking(False)
    return packets.detach(), 0


def receive(descriptor, header, request):
    """Return the first fitting frame as hexadecimal text, or "" at the deadline."""
    deadline = time.monotonic() + request["receive"]
    ethertype, source, contains = (bytes.fromhex(request[key]) for key in ("ethertype", "source", "contains"))
    while True:
        # Not a select alone: at the deadline what has arrived already still counts.
        try:
            frame = os.read(descriptor, LONGEST_READ)[header:]
        except BlockingIOError:
            left = deadline - time.monotonic()
            if left <= 0:
                return ""
            select.select([descriptor], [], [], left)
            continue
        if frame[12:14].startswith(ethertype) and frame[6:12].startswith(source) and contains in frame:
            return frame.hex()
        if time.monotonic() > deadline + 1:
            return ""


def answer(descriptor, header, request):
    """Carry out one request and return the answer to it."""
    if "send" in request:
        os.write(descriptor, bytes(header) + bytes.fromhex(request["send"]))
        return {}
    return {"frame": receive(descriptor, header, request)}


def main():
    """Open what the command line names, then serve requests until standard input closes."""
    kind, target = sys.argv[1:]
    try:
        descriptor, header = {"tap": open_tap, "interface": open_interface}[kind](target)
    except OSError as exc:
        print(json.dumps({"error": f"{target}: {exc}"}), flush=True)
        return
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        try:
            result = answer(descriptor, header, json.loads(line))
        except OSError as exc:
            result = {"error": f"{target}: {exc}"}
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
