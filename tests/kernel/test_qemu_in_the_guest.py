# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guest with other MACs, VLANs, a bond, DHCP and IPv6: what arrives in each mode, and what is reported of it.

It has a NIC in each mode; another one, on a second device, is the other half of its bond.
"""

import ipaddress
import subprocess
import sys

import pytest
from gap_meter import GapMeter
from lab import Lab, open_interface
from lab.frames import EXPERIMENTAL, ethernet
from module_host import ModuleHost, warnings
from qemu_lab import SHELL, Guest, guest_image

MODES = ("vepa", "bridge", "private", "passthrough")
NICS = [
    # the only one that has a guard
    {"mode": "vepa", "guard": {}},
    {"mode": "bridge"},
    {"mode": "private"},
    {"mode": "passthrough", "device": "eth2"},
]
OTHER_HALF = {"mode": "vepa", "device": "eth1"}
SENDER, OTHER = "02:aa:aa:aa:aa:aa", "02:bb:bb:bb:bb:bb"
#: where the neighbors of a NIC look for its MAC
IPV6_GROUP = "33:33:ff:{mac[9]}{mac[10]}:{mac[12]}{mac[13]}:{mac[15]}{mac[16]}"
FRAMES = 20
ADDRESS = "192.0.2.101"
#: without any noticeable pause
BLINK = 1000

WITHOUT_PASSTHROUGH = ("vepa", "bridge", "private")
IN_VAIN = "but in mode {mode} its link receives only frames for its own MAC, and broadcast and multicast frames"
#: what a guest does with its NIC n, and how it ends that; the MAC and the VLAN of the frames that are then sent to it;
#: the modes in which they arrive; the modes of the NICs of which something is reported, and what
CASES = {
    "nothing": ("", "", "{mac}", None, MODES, (), ""),
    "promiscuous": (
        "ip link set eth{n} promisc on", "ip link set eth{n} promisc off", OTHER, None, ("passthrough",),
        WITHOUT_PASSTHROUGH, "the guest wants all frames (promiscuous mode), " + IN_VAIN,
    ),
    "another MAC": (
        "ip link set eth{n} address 02:cc:cc:cc:cc:0{n}", "ip link set eth{n} address {mac}", "02:cc:cc:cc:cc:0{n}",
        None, ("passthrough",), WITHOUT_PASSTHROUGH, "the guest wants MAC 02:cc:cc:cc:cc:0{n}, " + IN_VAIN,
    ),
    "VRRP": (
        "ip link add link eth{n} name vrrp{n} type macvlan; ip link set vrrp{n} address 00:00:5e:00:01:0{n} up",
        "ip link del vrrp{n}", "00:00:5e:00:01:0{n}", None, ("passthrough",), WITHOUT_PASSTHROUGH,
        "the guest wants MAC 00:00:5e:00:01:0{n}, " + IN_VAIN,
    ),
    "VLAN": (
        "ip link add link eth{n} name v{n} type vlan id 20; ip link set v{n} up", "ip link del v{n}", "{mac}", 20,
        MODES, ("vepa",), "the guest uses VLAN 20, but its guard drops the frames that it sends there",
    ),
    "IPv6": ("", "", IPV6_GROUP, None, MODES, (), ""),
}  # fmt: skip


class Site:
    """The guest, and the wire to it."""

    def __init__(self, lab, host, boot):
        self.host, self.switch = host, lab.switch
        self.ports = dict(zip(lab.hypervisors[0].uplinks, lab.hypervisors[0].ports))
        # the shell of the guest
        host.ip("link set lo up")
        self.web = Guest(host, boot, "web", nics=[*NICS, OTHER_HALF], extra_args=SHELL)
        self.web.options["append"] += " guest.shell"
        self.web.started()
        # the device is promiscuous before its driver has set a filter
        assert self.reported() == {}
        self.web.wait_for("ready")
        self.web.does("for name in $(cat /modules/at-hand); do insmod /modules/$name; done")

    def arrives(self, of_nic):
        """The modes of the NICs that get the frames of ``of_nic(n)``, each (MAC, VLAN)."""
        before = self._counts()
        with open_interface(self.switch, "br0") as wire:
            for number in range(len(NICS)):
                mac, vlan = of_nic(number)
                tag = b"" if vlan is None else bytes.fromhex(f"8100{vlan:04x}")
                frame = ethernet(mac, SENDER, EXPERIMENTAL, bytes(50))
                for _repeat in range(FRAMES):
                    wire.send(frame[:12] + tag + frame[12:])
        counts = None
        while counts != (counts := self._counts()):
            pass
        grown = [after - there for there, after in zip(before, counts)]
        return tuple(mode for mode, count in zip(MODES, grown) if count >= FRAMES)

    def _counts(self):
        return [
            int(count) for count in self.web.does("said=$(cat /sys/class/net/eth[0-3]/statistics/rx_packets)").split()
        ]

    def wants(self):
        """NIC → what macvtap_info reports of its guest."""
        rows = self.host.module("macvtap_info")["attachments"]
        problems = {row["nic"]: [each for each in row["problems"] if each.startswith("the guest ")] for row in rows}
        return {number: problem[0] for number, problem in problems.items() if problem}

    def reported(self):
        """The same, where nothing else is wrong and macvtap_qemu warns of it too."""
        rows = [row for row in self.host.module("macvtap_info")["attachments"] if row["problems"]]
        expected = [
            f"NIC {row['nic']} ({row['mac']}) of guest web {problem.removeprefix('the guest ')}"
            for row in sorted(rows, key=lambda row: row["nic"])
            for problem in row["problems"]
        ]
        assert warnings(self.web.started()) == expected
        return {row["nic"]: problem for row in rows for problem in row["problems"]}

    def dropped(self):
        """How many frames the guard of NIC 0 dropped."""
        rows = self.host.module("macvtap_info")["attachments"]
        return sum(next(row for row in rows if row["nic"] == 0)["guard_dropped"].values())


@pytest.fixture(scope="module")
def site():
    with (
        Lab(uplinks=("eth0", "eth1", "eth2"), subnets=("192.0.2.0/24", "2001:db8::/64")) as lab,
        ModuleHost(lab.hypervisors[0], lab.directory) as host,
        guest_image("bonding", "macvlan", "8021q") as boot,
    ):
        yield Site(lab, host, boot)


@pytest.mark.parametrize("case", CASES)
def test_what_arrives_in_each_mode_and_what_is_reported(site, case):
    does, ends, mac, vlan, arrives, reported, words = CASES[case]
    macs = [row["mac"] for row in site.web.attachments]

    def of(text, number):
        return text.format(n=number, mac=macs[number], mode=MODES[number])

    site.web.does("\n".join(of(does, number) for number in range(len(NICS))))
    assert site.arrives(lambda number: (of(mac, number), vlan)) == arrives
    found = site.reported()
    assert [MODES[number] for number in sorted(found)] == list(reported)
    for number, problem in found.items():
        assert problem.startswith(of(words, number) + "; ")
    site.web.does("\n".join(of(ends, number) for number in range(len(NICS))))
    assert site.reported() == {}


def test_multicast_that_ipv6_needs_does_not_arrive_without_allmulticast(site):
    site.web.attachments = site.web.attach(allmulticast=False)
    macs = [row["mac"] for row in site.web.attachments]
    assert site.arrives(lambda number: (IPV6_GROUP.format(mac=macs[number]), None)) == ()
    found = site.reported()
    assert len(found) == len(NICS) + 1
    assert all(problem.startswith("the guest uses IPv6, but its link does not") for problem in found.values())
    site.web.attachments = site.web.attach()


# -- a bond of a NIC in mode vepa on eth0, and another on eth1 ---------------------------------------------------------

#: sets it up, with settings in bond0's directory; what it had stays behind
BOND = """\
ip link set bond0 down; echo -bond0 >/sys/class/net/bonding_masters; echo +bond0 >/sys/class/net/bonding_masters
cd /sys/class/net/bond0/bonding; echo active-backup >mode
{settings}
for nic in 0 {backup}; do ip link set eth$nic down; echo +eth$nic >slaves; done
echo eth0 >primary; ip addr add 192.0.2.101/24 dev bond0; ip link set bond0 up
until [ "$(cat active_slave)" = eth0 ]; do usleep 100000; done; cd /"""
MIIMON = "echo 100 >miimon"
ARP = "echo 100 >arp_interval; echo +192.0.2.1 >arp_ip_target"


def bonded(site, settings, backup=4):
    """A bond whose NICs all have their cables."""
    site.switch.ip(f"link set {site.ports['eth0']} up")
    site.web.started()
    site.web.does(BOND.format(settings=settings.replace("; ", "\n"), backup=backup))
    return site.web.attachments


@pytest.mark.parametrize("monitor", [MIIMON, ARP])
def uses(site, nic):
    """Wait until the bond uses a NIC."""
    site.web.does(f"until [ $(cat /sys/class/net/bond0/bonding/active_slave) = {nic} ]; do usleep 9999; done")


@pytest.mark.parametrize("monitor", [MIIMON, ARP])
def test_a_bond_loses_less_than_a_second_when_a_cable_is_pulled(site, monitor):
    taps = bonded(site, f"echo active >fail_over_mac; {monitor}")
    with GapMeter(site.switch, ADDRESS) as meter:
        if monitor is ARP:
            # the cable of the lower device: the bond notices by itself
            site.switch.ip(f"link set {site.ports['eth0']} down")
        else:
            # that of the guest's NIC
            pulled = [dict(taps[0], link_state="down"), *taps[1:]]
            assert site.web.started(taps=pulled)["actions"] == ["set the link of NIC 0 of guest web down"]
        uses(site, "eth4")
    row = meter.gaps[ADDRESS]
    print(monitor, row)
    assert row["gap"] < BLINK and site.wants() == {}


def test_a_bond_follows_the_carrier_of_the_lower_device_at_the_next_run(site):
    bonded(site, f"echo active >fail_over_mac; {MIIMON}")
    site.switch.ip(f"link set {site.ports['eth0']} down")
    # three NICs are on eth0
    actions = [f"set the link of NIC {number} of guest web down" for number in range(3)]
    assert site.web.started(follow_carrier=True)["actions"] == actions
    uses(site, "eth4")
    with GapMeter(site.switch, ADDRESS):
        assert site.web.started(follow_carrier=True)["changed"] is False


@pytest.mark.parametrize("backup", [4, 3])
def test_a_bond_with_one_mac_for_both_needs_passthrough_and_is_reported_before_it_is_needed(site, backup):
    taps = bonded(site, MIIMON, backup)
    wants = {4: f"the guest wants MAC {taps[0]['mac']}, but in mode vepa {IN_VAIN.partition('} ')[2]}; "}
    found = site.wants()
    assert found.keys() == (wants.keys() if backup == 4 else set())
    assert all(problem.startswith(wants[number]) for number, problem in found.items())
    with GapMeter(site.switch, ADDRESS) as meter:
        site.web.started(taps=[dict(taps[0], link_state="down"), *taps[1:]])
        uses(site, f"eth{backup}")
        site.web.does("usleep 1500000")
    assert (meter.gaps[ADDRESS]["gap"] > BLINK) is (backup == 4)


# -- addresses behind a guard ------------------------------------------------------------------------------------------

DHCPD = "start 192.0.2.150\nend 192.0.2.150\ninterface br0\nlease_file /run/leases\noption subnet 255.255.255.0\n"
#: a router advertisement with a prefix for SLAAC (RFC 4861, 4.2 and 4.6.2), from the link-local address of br0
ADVERTISE = r"""
import ipaddress, socket, struct
advertisement = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
prefix = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 3600, 3600, 0, ipaddress.ip_address("2001:db8::").packed)
wire = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
wire.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
wire.sendto(advertisement + prefix, ("ff02::1", 0, 0, socket.if_nametoindex("br0")))
"""
#: the NIC that has a guard, and no other
ALONE = """\
ip link set bond0 down; echo -eth0 >/sys/class/net/bond0/bonding/slaves
for nic in 0 1 2 3 4; do ip link set eth$nic down; done
cd /proc/sys/net/ipv6/conf/eth0; echo 1 >accept_ra; echo 1 >accept_dad; cd /
printf '#!/bin/sh\\n[ "$1" != bound ] || ip addr add $ip/$mask dev $interface\\n' >/leased; chmod +x /leased
ip link set eth0 up"""
LIE = """\
echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad; ip addr flush dev eth0 scope global
ip addr add 192.0.2.77/24 dev eth0; ip addr add 2001:db8::77/64 dev eth0"""
PINGED = "192.0.2.1 2001:db8::1"
PINGS = f"said=$(for address in {PINGED}; do ping -c 1 -W 3 $address >/dev/null && echo $address; done)"


def is_there(site, address):
    """Wait until the guest has an address that is known to be no other's."""
    site.web.does(f"until ip -6 addr show dev eth0 | grep -v tentative | grep -q {address}; do usleep 99999; done")


def test_an_honest_guest_gets_its_addresses_behind_a_guard_and_a_liar_reaches_nobody(site):
    octets = bytes.fromhex(site.web.attachments[0]["mac"].replace(":", ""))
    own = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    slaac = ipaddress.ip_address(ipaddress.ip_address("2001:db8::").packed[:8] + own)
    site.web.attachments = site.web.attach(guard={"addresses": ["192.0.2.150", str(slaac)]})
    # with its cables, which an earlier test pulled
    site.web.started()
    site.switch.run(["tee", "/run/udhcpd.conf"], input=DHCPD)
    site.switch.spawn(["busybox", "udhcpd", "-f", "/run/udhcpd.conf"], stderr=subprocess.DEVNULL)
    site.web.does(ALONE)
    assert site.web.does("udhcpc -i eth0 -n -q -s /leased; said=$?") == "0"
    is_there(site, "fe80:")
    site.switch.run([sys.executable, "-I", "-c", ADVERTISE])
    is_there(site, slaac)
    assert site.web.does(PINGS) == PINGED
    before = site.dropped()
    site.web.does(LIE)
    assert site.web.does(PINGS) == "" and site.dropped() > before
    # nothing else than the guard is in its way
    site.web.attach()
    assert site.web.does(PINGS) == PINGED
