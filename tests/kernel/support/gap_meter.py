# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ping addresses at a fixed pace, and tell of each how long it did not answer at a time.

    with GapMeter(namespace, "192.0.2.101", …) as meter:
        …
    meter.gaps["192.0.2.101"]    # {"sent": …, "lost": …, "gap": longest time between two answers, in ms}

Run as a program inside the namespace, which prints that when its input ends: gap_meter.py ADDRESS…
"""

import json
import os
import select
import socket
import struct
import subprocess
import sys
import time

#: seconds between two pings of an address
PACE = 0.02
#: seconds for all addresses to answer at first
PATIENCE = 30
#: type, code, checksum, identifier, sequence number
_HEADER = struct.Struct("!BBHHH")
_REQUEST, _REPLY = 8, 0


class GapMeter:
    """Pings while the block runs; every address must have answered before it begins."""

    def __init__(self, namespace, *addresses):
        command = [sys.executable, "-I", os.path.abspath(__file__), *addresses]
        self._process = namespace.spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.gaps = None

    def __enter__(self):
        said = self._process.stdout.readline()
        assert said == "all answer\n", said
        return self

    def __exit__(self, *exception):
        self.gaps = json.loads(self._process.communicate(timeout=30)[0] or "null")


def _checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def _request(identifier, number):
    data = _HEADER.pack(_REQUEST, 0, 0, identifier, number & 0xFFFF)
    return _HEADER.pack(_REQUEST, 0, _checksum(data), identifier, number & 0xFFFF)


def main(addresses):
    """Ping until standard input ends."""
    identifier = os.getpid() & 0xFFFF
    wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sent, received, gaps, last = 0, dict.fromkeys(addresses, 0), dict.fromkeys(addresses, 0.0), {}
    begun, due = False, time.monotonic()
    deadline = due + PATIENCE
    while begun or due < deadline:
        ready = select.select([wire, sys.stdin], [], [], max(due - time.monotonic(), 0))[0]
        now = time.monotonic()
        if wire in ready:
            packet, (address, _port) = wire.recvfrom(2048)
            kind, _code, _sum, owner, _number = _HEADER.unpack_from(packet, 20)
            if (kind, owner) == (_REPLY, identifier) and address in received:
                gaps[address] = max(gaps[address], now - last.get(address, now))
                received[address] += 1
                last[address] = now
        if sys.stdin in ready:
            break
        if not begun and len(last) == len(addresses):
            begun = True
            sent, received, gaps = 0, dict.fromkeys(addresses, 0), dict.fromkeys(addresses, 0.0)
            print("all answer", flush=True)
        if now >= due:
            for address in addresses:
                wire.sendto(_request(identifier, sent), (address, 0))
            sent += 1
            due = max(due + PACE, now)
    if not begun:
        sys.exit(print("no answer from", *(address for address in addresses if address not in last)))
    ends = {address: max(gaps[address], now - last[address]) for address in addresses}
    rows = {
        address: {"sent": sent, "lost": max(sent - received[address], 0), "gap": round(1000 * ends[address])}
        for address in addresses
    }
    print(json.dumps(rows))


if __name__ == "__main__":
    main(sys.argv[1:])
