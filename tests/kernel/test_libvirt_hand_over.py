# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running guests move from libvirt's links to ours and back, by playbook: a guest in each mode, NICs of all kinds.

One of them has a system and pings; of the others, which have none, processes, taps and links are looked at.
"""

import json
import re

import pytest
from libvirt_lab import CONSOLE, PLAIN_DOMAIN, Libvirtd
from module_host import RESET
from qemu_lab import guest_image
from test_libvirt_migration import Moving, domain

NETWORK = "<network><name>vepanet</name><forward mode='vepa' dev='eth0'/></network>"
MAC = "<mac address='52:54:00:00:00:{:02x}'/>"
USER = "<interface type='user'>" + MAC + "<model type='e1000'/></interface>"
DIRECT = "<interface type='direct'>" + MAC + "<source dev='{}' mode='{}'/>{}<model type='virtio'/></interface>"
OF_NETWORK = "<interface type='network'>" + MAC + "<source network='vepanet'/><model type='virtio'/>{}</interface>"
#: guest → its NICs
GUESTS = {
    "vepa": USER.format(1) + OF_NETWORK.format(2, "<rom bar='off'/>"),
    "bridge": DIRECT.format(3, "eth0", "bridge", "<target dev='lan-0'/>") + USER.format(4),
    "private": DIRECT.format(5, "eth0", "private", "") + OF_NETWORK.format(6, "<link state='down'/>"),
    "passthrough": USER.format(7) + DIRECT.format(8, "eth1", "passthrough", ""),
    "web": OF_NETWORK.replace("00:00:{:02x}", "12:34:56").format("") + USER.format(10),
}
#: (guest, position) of each NIC that moves → its MAC, mode and state
NICS = {
    ("vepa", 1): ("52:54:00:00:00:02", "vepa", "up"),
    ("bridge", 0): ("52:54:00:00:00:03", "bridge", "up"),
    ("private", 0): ("52:54:00:00:00:05", "private", "up"),
    ("private", 1): ("52:54:00:00:00:06", "vepa", "down"),
    ("passthrough", 1): ("52:54:00:00:00:08", "passthrough", "up"),
    ("web", 0): ("52:54:00:12:34:56", "vepa", "up"),
}


class Guests:
    """The guests above, run by libvirt."""

    def __init__(self, host, boot):
        self.host = host
        self.names = list(GUESTS)
        self.virsh = Libvirtd(host, make_nodes=True).virsh
        self.web = Moving(host, boot, "web", addresses=[["192.0.2.101/24"]], ping=["192.0.2.1"])
        self.web.console = CONSOLE
        self.virsh("net-define", "/dev/stdin", input=NETWORK)
        self.virsh("net-start", "vepanet")
        for name, interfaces in GUESTS.items():
            text = (
                domain(self.web, interfaces) if name == "web" else PLAIN_DOMAIN.format(name=name, interfaces=interfaces)
            )
            self.virsh("define", "/dev/stdin", input=text)

    def start(self):
        for name in self.names:
            self.virsh("start", name, *(["--paused"] if name != "web" else []))

    def definitions(self):
        return {name: self.virsh("dumpxml", "--inactive", "--security-info", name).stdout for name in self.names}

    def end(self):
        for name in self.names:
            self.virsh("destroy", name)

    def held(self):
        """guest → (its process, the taps that it has open)."""
        found = {}
        for name in self.names:
            pid = self.host.run(["pgrep", "-f", f"guest={name},"]).stdout.split()[0]
            opened = self.host.run(["sh", "-c", f"readlink /proc/{pid}/fd/*"]).stdout.split("\n")
            found[name] = (pid, sorted(path for path in opened if path.startswith("/dev/tap")))
        return found

    def rows(self):
        """(guest, position) → attachment."""
        return {(row["guest"], row["nic"]): row for row in self.host.module("macvtap_info")["attachments"]}


@pytest.fixture(scope="module")
def all_guests(module_host):
    with guest_image() as boot:
        yield Guests(module_host, boot)


@pytest.fixture
def host(module_host):
    """As always, but what runs there goes on: libvirtd."""
    module_host.run(["sh", "-c", RESET])
    return module_host


@pytest.fixture
def guests(host, all_guests):
    all_guests.names = list(GUESTS)
    yield all_guests
    for name in GUESTS:
        all_guests.virsh("destroy", name, check=False)


def without_counts(links):
    return {name: (row["ifindex"], row["address"], row.get("ifalias"), row["flags"]) for name, row in links.items()}


def test_running_guests_move_here_and_back(host, play, guests):
    there = {"migrate_from_libvirt_guests": list(GUESTS), "migrate_from_libvirt_running": True}
    back = {"migrate_to_libvirt_guests": list(GUESTS)}
    guests.start()
    held, links, original = guests.held(), without_counts(host.links()), guests.definitions()
    guests.web.wait_for("ready")
    since = guests.web.mark()

    # there, while they run: the same processes on the same taps, under names by which libvirt deletes nothing
    before = host.snapshot()
    changed, output = play("migrate_from_libvirt", "--check", **there)
    assert changed and host.snapshot() == before and guests.definitions() == original, output
    play("migrate_from_libvirt", **there)
    rows = guests.rows()
    assert {key: (row["mac"], row["mode"], row["link_state"]) for key, row in rows.items()} == NICS
    assert guests.held() == held and not {row["ifname"] for row in rows.values()} & {*links}
    assert all(row["persistent"] for row in rows.values())
    moved = guests.definitions()
    for name, text in moved.items():
        assert text.count("managed='no'") == len([guest for guest, _nic in NICS if guest == name])
        assert text.count("type='user'") == original[name].count("type='user'")
        assert re.findall("<address .*?/>", text) == re.findall("<address .*?/>", original[name])
    changed, output = play("migrate_from_libvirt", **there)
    assert changed == 0 and guests.definitions() == moved, output

    # and back, while they run: libvirt's links and definitions as they were
    play("migrate_to_libvirt", **back)
    assert guests.held() == held and guests.definitions() == original and guests.rows() == {}
    given = without_counts(host.links())
    assert {name: facts[:3] for name, facts in given.items()} == {name: facts[:3] for name, facts in links.items()}
    assert None not in guests.web.pings("192.0.2.1", since=since)
    guests.end()
    assert host.links() == {}


def test_links_of_guests_that_moved_stay_when_the_guests_end(host, play, guests):
    guests.names = ["bridge", "passthrough"]
    there = {"migrate_from_libvirt_guests": guests.names, "migrate_from_libvirt_running": True}
    back = {"migrate_to_libvirt_guests": guests.names}
    own_mac = host.link("eth1")["address"]
    guests.start()
    held, original = guests.held(), guests.definitions()
    play("migrate_from_libvirt", **there)
    rows = guests.rows()
    guests.end()
    assert {row["ifname"] for row in rows.values()} == {*host.links()} and host.link("eth1")["address"] == own_mac
    guests.start()
    assert [taps for _pid, taps in guests.held().values()] == [taps for _pid, taps in held.values()]

    # what runs on these links keeps them until it stops
    _changed, output = play("migrate_to_libvirt", **back)
    waiting = re.search(r'"moved_back_at_their_next_stop": (\[.*?\])', output, re.S)[1]
    assert sorted(json.loads(waiting)) == sorted(guests.names) and guests.definitions() == original
    guests.end()
    play("migrate_to_libvirt", **back)
    assert host.links() == {} and guests.rows() == {}
    guests.start()
    assert len(host.links()) == 2
    guests.end()


def test_a_new_link_does_not_get_a_name_that_libvirt_deletes(host, guests):
    guests.names = ["private"]
    guests.start()
    names = sorted(host.links())
    for name in names:
        host.ip(f"link set {name} name moved-{name[-1]}")
    made = host.attach(attachments=[{"guest": "new", "device": "eth0"}])["attachments"][0]["ifname"]
    assert made not in names
    guests.end()
    assert made in host.links()
