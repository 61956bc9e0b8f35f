# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sends frames from one tap to another at a rate, and prints the rate at which they arrive.

    python3 rate_meter.py /dev/tap1 /dev/tap2 MAC_OF_2 BYTES_A_SECOND SECONDS

Both in bytes of frames a second. What arrives in the first second, while bursts pass, is not counted.
"""

import os
import select
import sys
import time

#: virtio_net_hdr, which a tap has before each frame
HEADER = bytes(10)
LENGTH = 1514


def main():
    source, sink, mac, rate, seconds = sys.argv[1:]
    rate, seconds = float(rate), float(seconds)
    sender, receiver = (os.open(path, os.O_RDWR | os.O_NONBLOCK) for path in (source, sink))
    frame = HEADER + bytes.fromhex(mac.replace(":", "")) + bytes.fromhex("0200000000fe88b5")
    frame = frame.ljust(len(HEADER) + LENGTH, b"\0")
    started, sent, counted, first, last = time.monotonic(), 0, 0, None, None
    while (now := time.monotonic()) < started + 1 + seconds:
        while sent < (now - started) * rate:
            sent += LENGTH
            try:
                os.write(sender, frame)
            except BlockingIOError:
                # its socket has no room: as many frames wait as may
                break
        if select.select([receiver], [], [], 0.0005)[0]:
            try:
                while True:
                    size = len(os.read(receiver, 65536)) - len(HEADER)
                    last = time.monotonic()
                    if last > started + 1:
                        if first is None:
                            first = last
                        else:
                            counted += size
            except BlockingIOError:
                pass
    print(counted / (last - first) if counted else 0)


main()
