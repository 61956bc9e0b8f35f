# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ten running guests move from libvirt's links to ours and back while they are pinged; how long each did not answer.

All have a system, and booting ten takes minutes: tools/hand_over.sh runs it, CI moves the guests of
test_libvirt_hand_over.py.
"""

import time

import pytest
from gap_meter import GapMeter
from libvirt_lab import CONSOLE, Libvirtd
from module_host import RESET
from qemu_lab import guest_image
from test_libvirt_hand_over import DIRECT, NETWORK, OF_NETWORK, USER, Guests
from test_libvirt_migration import Moving, domain

#: seconds for ten guests to boot on two cores
BOOT = 1800
#: name → mode of the NIC that is pinged
MODES = {
    **{f"vepa-{number}": "vepa" for number in (1, 2, 3)},
    **{f"bridge-{number}": "bridge" for number in (1, 2, 3)},
    **{f"private-{number}": "private" for number in (1, 2)},
    "passthrough": "passthrough",
    "two-macvtaps": "vepa",
}


def interfaces(name, number):
    """The NICs of a guest: the one that is pinged, and one that has nothing to do with us or is another macvtap."""
    other = USER.format(100 + number)
    if name == "two-macvtaps":
        return OF_NETWORK.format(number, "") + DIRECT.format(100 + number, "eth0", "private", "")
    if MODES[name] == "vepa":
        return OF_NETWORK.format(number, "") + other
    return DIRECT.format(number, "eth1" if name == "passthrough" else "eth0", MODES[name], "") + other


class Pinged(Moving):
    """One of the guests."""

    def __init__(self, host, boot, name, number):
        self.mac, self.address = f"52:54:00:00:00:{number:02x}", f"192.0.2.{100 + number}"
        super().__init__(host, boot, name, addresses=[[f"{self.address}/24"]])
        self.console = CONSOLE.replace("web", name)

    def attach(self, **changes):
        return [{"mac": self.mac}]

    def definition(self, number):
        text = domain(self, interfaces(self.name, number))
        return text.replace("<name>web<", f"<name>{self.name}<").replace(CONSOLE, self.console)


class Ten(Guests):
    """The guests, run by libvirt."""

    def __init__(self, host, boot):
        self.host = host
        self.names = list(MODES)
        self.virsh = Libvirtd(host, make_nodes=True).virsh
        self.virsh("net-define", "/dev/stdin", input=NETWORK)
        self.virsh("net-start", "vepanet")
        self.guests = [Pinged(host, boot, name, number) for number, name in enumerate(MODES, 1)]
        for number, guest in enumerate(self.guests, 1):
            host.run(["install", "-m", "666", "/dev/null", guest.console])
            self.virsh("define", "/dev/stdin", input=guest.definition(number))
            self.virsh("start", guest.name)
        for guest in self.guests:
            guest.wait_for("ready", timeout=BOOT)

    def gaps(self, work):
        """Do something while all are pinged; returns (seconds that it took, the figures of each)."""
        begun = time.monotonic()
        with GapMeter(self.host.switch, *(guest.address for guest in self.guests)) as meter:
            work()
        return time.monotonic() - begun, [meter.gaps[guest.address] for guest in self.guests]


@pytest.fixture
def host(module_host):
    module_host.run(["sh", "-c", RESET])
    return module_host


def test_ten_running_guests_move_there_and_back(host, play):
    with guest_image() as boot:
        ten = Ten(host, boot)
        held, original = ten.held(), ten.definitions()
        there = {"migrate_from_libvirt_guests": ten.names, "migrate_from_libvirt_running": True}
        seconds, figures = zip(
            ten.gaps(lambda: time.sleep(20)),
            ten.gaps(lambda: play("migrate_from_libvirt", **there)),
            ten.gaps(lambda: play("migrate_to_libvirt", migrate_to_libvirt_guests=ten.names)),
        )
        print("\nlongest time without an answer in ms, and pings lost of all: nothing moves | there | back")
        for row in zip(ten.names, *figures):
            print(f"{row[0]:<14}", *(f"{each['gap']:>6} {each['lost']:>4}/{each['sent']:<5}" for each in row[1:]))
        print("seconds       ", *(f"{each:>6.0f}{'':<11}" for each in seconds))
        assert ten.held() == held and ten.definitions() == original and ten.rows() == {}
        assert all(row["lost"] < row["sent"] / 10 for phase in figures for row in phase)
        ten.end()
