# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Raw Ethernet frames through taps and interfaces of a lab namespace.

with open_tap(hypervisor, "/dev/tap7") as guest, open_interface(lab.switch, "br0") as wire:
    guest.send(ethernet(BROADCAST, guest_mac, 0x0806, arp_request))
    answer = wire.receive(timeout=1, ethertype=0x0806)

seconds = frame_through(hypervisor, tap_a, mac_a, hypervisor, tap_b, mac_b)
"""

import json
import os
import subprocess
import sys
import time

AGENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "frame_agent.py")
BROADCAST = "ff:ff:ff:ff:ff:ff"
EXPERIMENTAL = 0x88B5  # IEEE 802 local experimental EtherType 1: no protocol stack answers it
SHORTEST_FRAME = 60


def octets(mac):
    """Return the six bytes of a MAC address as text."""
    return bytes.fromhex(mac.replace(":", ""))


def ethernet(destination, source, ethertype, payload):
    """Return an Ethernet frame as bytes, padded to the shortest length allowed; the addresses are text."""
    return (octets(destination) + octets(source) + ethertype.to_bytes(2, "big") + payload).ljust(SHORTEST_FRAME, b"\0")


class Port:
    """An open tap or interface in a namespace of the lab; a context manager.

    Frames that arrive while it is open wait to be received.
    """

    def __init__(self, namespace, kind, target):
        command = [sys.executable, "-I", AGENT, kind, target]
        self._agent = namespace.spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self._answer()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _ask(self, **request):
        self._agent.stdin.write(json.dumps(request) + "\n")
        self._agent.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self._agent.stdout.readline()
        answer = json.loads(line) if line else {"error": "the frame agent ended"}
        if "error" in answer:
            raise OSError(answer["error"])
        return answer

    def send(self, frame):
        """Send one Ethernet frame (bytes, without checksum); OSError when the kernel refuses it."""
        self._ask(send=frame.hex())

    def receive(self, timeout=2.0, ethertype=None, source=None, contains=b""):
        """Return the next frame (bytes) that fits, or None when ``timeout`` seconds bring none.

        Frames that do not fit are dropped. ``ethertype`` is a number, ``source`` a MAC
        address, ``contains`` bytes anywhere in the frame.
        """
        answer = self._ask(
            receive=timeout,
            ethertype="" if ethertype is None else f"{ethertype:04x}",
            source=octets(source).hex() if source else "",
            contains=contains.hex(),
        )
        return bytes.fromhex(answer["frame"]) if answer["frame"] else None

    def close(self):
        """Close the descriptor in the namespace."""
        self._agent.stdin.close()
        self._agent.wait(10)
        self._agent.stdout.close()


def open_tap(namespace, path):
    """Open the tap device node ``path`` as a guest would; OSError when it is not a character device or not a tap."""
    return Port(namespace, "tap", path)


def open_interface(namespace, name):
    """Listen and send on the network interface ``name``; what the interface itself sends is seen too."""
    return Port(namespace, "interface", name)


def frame_through(hypervisor_a, tap_a, mac_a, hypervisor_b, tap_b, mac_b, timeout=2.0):
    """Send a frame from guest A to guest B and one back, through their taps.

    Returns the round trip in seconds (never 0), with some 0.1 ms of our own in it, or None when a frame did not
    arrive within ``timeout`` seconds.
    """
    token = os.urandom(16)
    with open_tap(hypervisor_a, tap_a) as guest_a, open_tap(hypervisor_b, tap_b) as guest_b:
        started = time.monotonic()
        guest_a.send(ethernet(mac_b, mac_a, EXPERIMENTAL, token + b"there"))
        if guest_b.receive(timeout, EXPERIMENTAL, source=mac_a, contains=token + b"there") is None:
            return None
        guest_b.send(ethernet(mac_a, mac_b, EXPERIMENTAL, token + b"back"))
        if guest_a.receive(timeout, EXPERIMENTAL, source=mac_b, contains=token + b"back") is None:
            return None
        return time.monotonic() - started
