# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host is silent on a guest's link: no ARP, no IPv6, not one frame with the guest's MAC before the guest speaks."""

import ipaddress
import json
import struct
import time

from lab import frame_through, open_interface
from lab.frames import BROADCAST, ethernet, octets

ARP, IPV6 = 0x0806, 0x86DD
ASKER = "02:aa:aa:aa:aa:aa"
QUIET = {"guest": "quiet", "device": "eth0", "mac": "02:00:00:00:00:01"}
LOUD = {"guest": "loud", "device": "eth0", "mac": "02:00:00:00:00:02"}


def who_has(address):
    """A broadcast ARP request for ``address``."""
    addresses = (
        octets(ASKER) + ipaddress.ip_address("192.0.2.200").packed + bytes(6) + ipaddress.ip_address(address).packed
    )
    return ethernet(BROADCAST, ASKER, ARP, struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + addresses)


def router_advertisement(prefix):
    """An advertisement of a default router and of ``prefix``/64 for addresses of one's own (RFC 4861, 4.2)."""
    source, target = (ipaddress.ip_address(text).packed for text in ("fe80::1", "ff02::1"))
    option = struct.pack("!BBBBIII", 3, 4, 64, 0xC0, 3600, 3600, 0) + ipaddress.ip_address(prefix).packed
    link_layer = struct.pack("!BB", 1, 1) + octets(ASKER)
    message = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + option + link_layer
    pseudo = source + target + struct.pack("!II", len(message), 58) + message
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    message = message[:2] + struct.pack("!H", ~total & 0xFFFF) + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), 58, 255)
    return ethernet("33:33:00:00:00:01", ASKER, IPV6, header + source + target + message)


def answers(wire, seconds=0.7):
    """MACs that answer ASKER by ARP within ``seconds``."""
    found = set()
    frame = wire.receive(seconds, ethertype=ARP, contains=octets(ASKER))
    while frame is not None:
        if frame[20:22] == b"\0\2":
            found.add(frame[6:12].hex(":"))
        frame = wire.receive(seconds, ethertype=ARP, contains=octets(ASKER))
    return found


def ipv6_of(host, link):
    """Global IPv6 addresses of a link."""
    rows = json.loads(host.run(["ip", "-json", "-6", "address", "show", "dev", link]).stdout)
    return [entry["local"] for row in rows if row for entry in row["addr_info"] if entry["scope"] == "global"]


def all_ipv6_of(host, link):
    addresses = host.run(["ip", "-6", "address", "show", "dev", link]).stdout
    routes = host.run(["ip", "-6", "route", "show", "table", "all", "dev", link]).stdout
    return addresses + routes


def test_only_the_uplink_answers_arp_for_the_address_of_the_host(host):
    uplink = host.link("eth0")["address"]
    host.attach(attachments=[QUIET, {"guest": "second", "device": "eth0"}])
    with open_interface(host.switch, host.hypervisor.ports[0]) as wire:
        wire.send(who_has("192.0.2.11"))
        assert answers(wire) == {uplink}


def test_without_isolation_the_link_of_the_guest_answers_too(host):
    row = host.attach(attachments=[LOUD], isolate_host=False)["attachments"][0]
    with open_interface(host.switch, host.hypervisor.ports[0]) as wire:
        wire.send(who_has("192.0.2.11"))
        assert row["mac"] in answers(wire)


def test_a_router_advertisement_gives_an_idle_link_neither_address_nor_route(host):
    quiet = host.attach(attachments=[QUIET])["attachments"][0]["ifname"]
    loud = host.attach(attachments=[LOUD], isolate_host=False)["attachments"][0]["ifname"]
    with open_interface(host.switch, host.hypervisor.ports[0]) as wire:
        deadline = time.monotonic() + 20
        # that the loud link took it shows that the quiet one had it as well
        while not ipv6_of(host, loud) or len(ipv6_of(host, "eth0")) < 2:
            assert time.monotonic() < deadline
            wire.send(router_advertisement("2001:db8:1::"))
            wire.receive(0.2, ethertype=0xFFFF)
    assert all_ipv6_of(host, quiet) == ""


def test_not_one_frame_leaves_with_the_mac_of_an_idle_guest(host):
    host.network(name="vepanet", devices=["eth0"])
    with open_interface(host.switch, host.hypervisor.ports[0]) as wire:
        row = host.attach(attachments=[{"guest": "web", "network": "vepanet", "mac": QUIET["mac"]}])["attachments"][0]
        # drift and its repair, a mode changed live, and a re-create, are no reason to speak either
        host.run(["sh", "-c", "ip link set %(ifname)s arp on alias ''" % row])
        host.attach(attachments=[{"guest": "web", "network": "vepanet", "mac": QUIET["mac"]}])
        host.network(name="vepanet", mode="bridge", devices=["eth0"])
        host.detach(guest="web")
        host.attach(attachments=[{"guest": "web", "network": "vepanet", "mac": QUIET["mac"]}])
        wire.send(who_has("192.0.2.11"))
        wire.send(router_advertisement("2001:db8:2::"))
        assert wire.receive(3, source=QUIET["mac"]) is None


def test_frames_with_the_mac_of_the_guest_would_be_seen(host):
    with open_interface(host.switch, host.hypervisor.ports[0]) as wire:
        host.attach(attachments=[LOUD], isolate_host=False)
        assert wire.receive(10, source=LOUD["mac"]) is not None


def test_a_guest_on_a_silent_link_speaks_and_hears(host):
    first, second = host.attach(attachments=[QUIET, LOUD])["attachments"]
    taps = [word for row in (first, second) for word in (host.hypervisor, row["tap_path"], row["mac"])]
    assert frame_through(*taps) is not None
    host.switch.set_hairpin(False)
    try:
        assert frame_through(*taps, timeout=0.3) is None
    finally:
        host.switch.set_hairpin(True)
