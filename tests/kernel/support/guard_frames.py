# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Frames of an honest and of a hostile guest, and what a guard has to do with each.

:func:`reason` says it from the frame alone, by a parser of its own. As a program it sends random frames through a tap,
looks at the lower device for each, and prints where the two disagree: guard_frames.py TAP LOWER MAC GUARD SEED FRAMES.
"""

import ipaddress
import json
import os
import random
import socket
import struct
import sys

IPV4, ARP, IPV6, VLAN, QINQ = 0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8
TAGS = (VLAN, QINQ, 0x9100, 0x9200)
EXTENSIONS = (0, 43, 44, 51, 60)
#: what a receiver may find something behind, beside those that the kernel walks
BEHIND_TAG = (*EXTENSIONS, 135, 139, 140)
DEFAULTS = {
    "mac": True, "addresses": None, "vlans": [], "other_protocols": True, "stp": False, "dhcp_server": False,
    "router_advertisements": False,
}  # fmt: skip
BROADCAST = b"\xff" * 6
UNKNOWN, LATER_FRAGMENT = -1, -2


def octets(mac):
    return bytes.fromhex(mac.replace(":", ""))


def link_local(mac):
    return b"\xfe\x80" + bytes(6) + bytes([mac[0] ^ 2]) + mac[1:3] + b"\xff\xfe" + mac[3:]


class Judge:
    """What a guard has to do with frames."""

    def __init__(self, guard, mac):
        self.guard = {**DEFAULTS, **guard}
        self.mac = octets(mac)
        addresses = self.guard["addresses"]
        self.networks = None if addresses is None else [ipaddress.ip_network(each) for each in addresses]

    def may_have(self, address):
        if len(address) not in (4, 16):
            return False
        if address == link_local(self.mac):
            return True
        return any(ipaddress.ip_address(address) in network for network in self.networks)

    def reason(self, frame):
        """The key of the guard that forbids a frame, None = it may pass."""
        guard = self.guard
        if guard["mac"] and frame[6:12] != self.mac:
            return "mac"
        if not guard["stp"] and frame[:5] == b"\x01\x80\xc2\0\0" and frame[5] < 16:
            return "stp"
        kind, packet, is_tagged = int.from_bytes(frame[12:14], "big"), frame[14:], False
        if kind in TAGS:
            if kind != VLAN or len(packet) < 4 or int.from_bytes(packet[2:4], "big") in TAGS:
                return "vlans"
            if int.from_bytes(packet[:2], "big") & 0xFFF not in (0, *guard["vlans"]):
                return "vlans"
            kind, packet, is_tagged = int.from_bytes(packet[2:4], "big"), packet[4:], True
        judge = {IPV4: self._ipv4, ARP: self._arp, IPV6: self._ipv6}.get(kind)
        if judge is None:
            return None if guard["other_protocols"] else "other_protocols"
        return judge(packet, is_tagged)

    def _ipv4(self, packet, _is_tagged):
        if self.networks is not None and not self.may_have(packet[12:16]):
            is_discover = packet[:1] == b"\x45" and packet[9:10] == b"\x11" and packet[12:16] == bytes(4)
            if not (is_discover and packet[16:20] == b"\xff" * 4 and packet[20:24] == b"\0\x44\0\x43"):
                return "addresses"
        if self.guard["dhcp_server"] or (len(packet) > 9 and packet[9] != 17):
            return None
        if len(packet) > 9 and int.from_bytes(packet[6:8], "big") & 0x1FFF:
            return None
        start = 4 * (packet[0] & 15) if packet and packet[0] >> 4 == 4 else 0
        port = packet[start + 2 : start + 4]
        return None if start >= 20 and len(port) == 2 and port != b"\0\x44" else "dhcp_server"

    def _arp(self, packet, _is_tagged):
        is_plain = packet[:6] == b"\0\x01\x08\0\x06\x04"
        if self.guard["mac"] and not (is_plain and packet[8:14] == self.mac):
            return "mac"
        if self.networks is None:
            return None
        is_probe = packet[6:8] == b"\0\x01" and packet[14:18] == bytes(4)
        return None if is_plain and (is_probe or self.may_have(packet[14:18])) else "addresses"

    def _ipv6(self, packet, is_tagged):
        if self.networks is not None and not self.may_have(packet[8:24]) and not self._is_searching(packet):
            return "addresses"
        where = behind_tag(packet) if is_tagged else upper(packet)
        if self.networks is not None and not self._may_advertise(packet, where):
            return "addresses"
        if not self.guard["router_advertisements"] and not is_clean(packet, where, 58, 0, 1, (134, 137)):
            return "router_advertisements"
        if not self.guard["dhcp_server"] and not is_clean(packet, where, 17, 2, 2, (546,)):
            return "dhcp_server"
        return None

    @staticmethod
    def _is_searching(packet):
        """Before it has an address: for routers, neighbours, and groups to listen to."""
        if packet[8:24] != bytes(16) or packet[24:26] != b"\xff\x02" or len(packet) < 41:
            return False
        if packet[6] == 58:
            return packet[40] in (133, 135)
        return packet[6] == 0 and packet[40:42] == b"\x3a\0" and packet[48:49] in (b"\x83", b"\x84", b"\x8f")

    def _may_advertise(self, packet, where):
        if is_clean(packet, where, 58, 0, 1, (136,)):
            return True
        _protocol, start, is_direct, _is_sure = where
        return is_direct and packet[start : start + 1] == b"\x88" and self.may_have(packet[start + 8 : start + 24])


class Undecided(Exception):
    """No receiver is known to read on, so that the kernel decides whether it looks further."""


def is_clean(packet, where, protocol, offset, length, forbidden):
    """Whether a packet is known not to carry a value in its transport header."""
    found, start, _is_direct, is_sure = where
    value = packet[start + offset : start + offset + length]
    clean = found != UNKNOWN
    if found == protocol:
        clean = len(value) == length and int.from_bytes(value, "big") not in forbidden
    if clean and not is_sure:
        raise Undecided
    return clean


def upper(packet):
    """Protocol behind the extension headers, where it begins, whether its target may be allowed, False = undecided."""
    found, start, seen = (packet[6] if len(packet) > 6 else UNKNOWN), 40, []
    whole = len(packet) >= 40 and packet[0] >> 4 == 6 and int.from_bytes(packet[4:6], "big") + 40 <= len(packet)
    while found in EXTENSIONS:
        header = packet[start : start + (4 if found == 44 else 2)]
        if len(header) < (4 if found == 44 else 2):
            return UNKNOWN, 0, False, True
        if found == 44 and int.from_bytes(header[2:4], "big") & 0xFFF8:
            return LATER_FRAGMENT, 0, False, not {44, 51} & set(seen)
        seen.append(found)
        length = {44: 8, 51: 4 * (header[1] + 2)}.get(found, 8 * (header[1] + 1))
        found, start = header[0], start + length
    # the kernel may stop at an authentication header, and 6.12 does where a hop-by-hop header would tell the length
    is_sure = 51 not in seen and packet[4:7] != bytes(3)
    return (found, start, True, is_sure) if whole else (UNKNOWN, 0, False, True)


def behind_tag(packet):
    """As :func:`upper`, inside a tag: behind no more than a short hop-by-hop header or a fragment header."""
    found, start = (packet[6] if len(packet) > 6 else UNKNOWN), 40
    if found not in BEHIND_TAG:
        return found, start, True, True
    header = packet[40:44]
    if found == 44 and len(header) == 4 and int.from_bytes(header[2:4], "big") & 0xFFF8:
        return LATER_FRAGMENT, 0, False, True
    if found not in (0, 44) or not header or header[0] in BEHIND_TAG:
        return UNKNOWN, 0, False, True
    if found == 0 and header[1:2] != b"\0":
        # where the transport header begins is not known, but which it is
        return header[0], 1 << 20, False, True
    return header[0], 48, False, True


class Guest:
    """Makes frames: honest ones, and the same with lies in them."""

    def __init__(self, mac, own4, own6, vlans, rng):
        self.mac, self.rng, self.vlans = octets(mac), rng, vlans
        self.sources4 = [ipaddress.ip_address(own4).packed, bytes(4), b"\xc0\0\2\xc8", b"\x0a\0\0\1"]
        self.sources6 = [
            ipaddress.ip_address(own6).packed, link_local(self.mac), bytes(16),
            ipaddress.ip_address("fe80::1").packed, ipaddress.ip_address("2001:db8::bad").packed,
        ]  # fmt: skip

    def often(self, *choices):
        """Mostly the first."""
        return choices[0] if self.rng.random() < 0.6 else self.rng.choice(choices)

    def frame(self):
        rng = self.rng
        build = rng.choice((self.ipv4, self.ipv4, self.arp, self.ipv6, self.ipv6, self.ipv6, self.other))
        kind, packet = build()
        group = bytes([1, 0x80, 0xC2, 0, 0, rng.randrange(24)])
        target = self.often(BROADCAST, octets("02:00:00:00:00:99"), b"\x33\x33\0\0\0\1", group)
        source = self.often(self.mac, self.mac, octets("02:00:00:00:00:66"), rng.randbytes(6))
        head = kind.to_bytes(2, "big")
        for _tag in range(rng.choice((0, 0, 0, 0, 1, 1, 2))):
            priority, ids = rng.choice((0, 0, 0xE000, 0x1000)), (*self.vlans, 0, 0, 77, rng.randrange(4096))
            number = (priority | rng.choice(ids)).to_bytes(2, "big")
            head = self.often(VLAN, VLAN, *TAGS).to_bytes(2, "big") + number + head
        made = bytearray(target + source + head + packet)
        if rng.random() < 0.05:
            del made[rng.randrange(14, max(15, len(made))) :]
        if rng.random() < 0.1:
            made[rng.randrange(12, len(made))] = rng.randrange(256)
        if rng.random() < 0.3:
            made += bytes(max(0, 60 - len(made)))
        return bytes(made)

    def ipv4(self):
        rng = self.rng
        words = self.often(5, 6, 15, rng.randrange(16))
        protocol = rng.choice((17, 17, 1, 6, rng.randrange(256)))
        payload = self.udp((68, 67, 53, 69)) if protocol == 17 else rng.randbytes(20)
        source = self.often(*self.sources4)
        target = (
            b"\xff" * 4 if source == bytes(4) and rng.random() < 0.7 else rng.choice((b"\xff" * 4, rng.randbytes(4)))
        )
        if source == bytes(4) and rng.random() < 0.5:
            payload = b"\0\x44\0\x43" + payload[4:]
        length = max(20, words * 4) + len(payload)
        fragment = self.often(0, 0, 0x2000, 0x2001, 0x4000, 0x1FFF)
        head = struct.pack("!BBHHHBBH", 0x40 | words, 0, length, rng.randrange(65536), fragment, 64, protocol, 0)
        return IPV4, head + source + target + bytes(max(0, words * 4 - 20)) + payload

    def arp(self):
        rng = self.rng
        form = self.often(
            (1, 0x0800, 6, 4), (1, 0x0800, 6, 16), (6, 0x0800, 6, 4), (1, 0x0800, 8, 4), (1, 0x86DD, 6, 4)
        )
        hardware = self.often(self.mac, octets("02:00:00:00:00:66"))
        head = struct.pack("!HHBBH", *form, rng.choice((1, 1, 2, 2, 3, 8)))
        return ARP, head + hardware + self.often(*self.sources4) + bytes(6) + rng.choice(self.sources4)

    def ipv6(self):
        rng = self.rng
        protocol = rng.choice((58, 58, 58, 17, 6, 59, 135))
        payload = rng.randbytes(24)
        if protocol == 58:
            kinds = (128, 133, 134, 135, 136, 136, 137, 143, 131, 132, rng.randrange(256))
            payload = bytes([rng.choice(kinds), 0, 0, 0]) + bytes(4) + self.often(*self.sources6) + bytes(8)
        elif protocol == 17:
            payload = self.udp((546, 547, 53))
        body, first = payload, protocol
        for _header in range(rng.choice((0, 0, 0, 1, 1, 2, 3))):
            kind = rng.choice((0, 0, 43, 44, 44, 51, 60, 60, 139))
            words = rng.choice((0, 0, 0, 1, 2))
            header = bytes([first, words]) + bytes(6 + 8 * words)
            if kind == 44:
                place = rng.choice((0, 0, 1, 8, 0xFFF8))
                header = bytes([first, rng.choice((0, 7))]) + place.to_bytes(2, "big") + rng.randbytes(4)
            elif kind == 51:
                header = bytes([first, 4]) + bytes(22)
            body, first = header + body, kind
        source = self.often(*self.sources6)
        target = rng.choice((b"\xff\2" + bytes(13) + b"\1", self.sources6[0], rng.randbytes(16)))
        length = self.often(len(body), 0, len(body) + 1, rng.randrange(200))
        return IPV6, struct.pack("!IHBB", self.often(6, 4) << 28, length, first, 255) + source + target + body

    def udp(self, ports):
        ports = [*ports, self.rng.randrange(65536)]
        return struct.pack("!HHHH", self.rng.choice(ports), self.rng.choice(ports), 20, 0) + bytes(12)

    def other(self):
        kinds = (0x8035, 0x88B5, 0x88CC, 38, 1500, 0x8847, self.rng.randrange(65536))
        return self.rng.choice(kinds), self.rng.randbytes(40)


class Wire:
    """A tap, and the lower device behind it."""

    def __init__(self, tap, lower):
        self.tap = os.open(tap, os.O_RDWR | os.O_NONBLOCK)
        self.packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(3))
        self.packets.bind((lower, 0))

    def leaves(self, frame):
        """Send a frame; returns whether it left: it has done so when the write returns."""
        os.write(self.tap, bytes(10) + frame)
        passed = False
        while True:
            try:
                passed |= self.packets.recv(2048) == frame
            except BlockingIOError:
                return passed


def main():
    tap, lower, mac, guard, seed, frames = sys.argv[1:]
    guard = json.loads(guard)
    judge, rng, wire = Judge(guard, mac), random.Random(int(seed)), Wire(tap, lower)
    guest = Guest(mac, "192.0.2.10", "2001:db8::10", guard.get("vlans", []), rng)
    counts, wrong = {}, []
    for _number in range(int(frames)):
        frame = guest.frame()
        try:
            reason = judge.reason(frame)
        except Undecided:
            continue
        counts[reason or "passed"] = counts.get(reason or "passed", 0) + 1
        if wire.leaves(frame) != (reason is None):
            wrong.append([reason or "legal", frame.hex()])
            if len(wrong) > 20:
                break
    print(json.dumps({"counts": counts, "wrong": wrong}))


if __name__ == "__main__":
    main()
