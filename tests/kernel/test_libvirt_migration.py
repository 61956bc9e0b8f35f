# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way of guide_coming_from_libvirt: a guest that libvirt runs on a link of its own changes hands, and goes on."""

import re

import pytest
from libvirt_lab import CONSOLE, DOMAIN, Libvirtd
from module_host import ModuleFailed
from persist_lab import play_boot
from qemu_lab import Guest, guest_image, lone_host
from squatter import KERNEL_NODES

MAC = "52:54:00:12:34:56"
NETWORK = "<network><name>vepanet</name><forward mode='vepa'><interface dev='eth0'/></forward></network>"
NIC = f"<interface type='network'><mac address='{MAC}'/><source network='vepanet'/><model type='virtio'/></interface>"


class Moving(Guest):
    """The guest *web*, which libvirt starts on a link that libvirt makes."""

    def attach(self, **changes):
        return [{"mac": MAC}]


#: devtmpfs is one for the whole machine, and interface indexes begin anew in every namespace: so many are used up
BURNT_INDEXES = 700


@pytest.fixture
def libvirt():
    with lone_host() as host, guest_image() as boot:
        # libvirt waits for them
        host.run(["sh", "-c", KERNEL_NODES])
        host.ip(*(f"link add burn{number} link eth0 group 77 type macvlan" for number in range(BURNT_INDEXES)))
        host.ip("link del group 77")
        yield Libvirtd(host), Moving(host, boot, "web", addresses=[["192.0.2.101/24"]], ping=["192.0.2.1"])


def domain(web, interface):
    options = web.options
    words = {"kernel": options["kernel"], "initrd": options["initrd"], "append": options["append"]}
    return DOMAIN.format(vcpus=1, console=CONSOLE, interface=interface, **words)


def test_a_running_guest_changes_hands_and_keeps_its_connection(libvirt):
    libvirtd, web = libvirt
    host = libvirtd.host
    web.console = CONSOLE
    libvirtd.virsh("net-define", "/dev/stdin", input=NETWORK)
    libvirtd.virsh("net-start", "vepanet")
    libvirtd.virsh("define", "/dev/stdin", input=domain(web, NIC))
    original = libvirtd.virsh("dumpxml", "--inactive", "web").stdout
    libvirtd.virsh("start", "web")
    web.wait_for("ready")

    # the network, as libvirt dumps it
    dumped = libvirtd.virsh("net-dumpxml", "vepanet").stdout
    assert host.network(xml=dumped)["changed"] is True
    assert host.network(xml=dumped)["changed"] is False

    # the guest's link is libvirt's, is told as such, and is left alone
    (row,) = host.module("macvtap_info", all=True)["attachments"]
    assert (row["managed"], row["mac"], [holder["pid"] for holder in row["holders"]]) == (
        False,
        MAC,
        [int(libvirtd.pid())],
    )
    with pytest.raises(ModuleFailed, match=f"MAC {MAC} is already in use on eth0 by {row['ifname']} "):
        host.attach(xml=libvirtd.virsh("dumpxml", "web").stdout)

    # taken over by name and MAC while the guest runs: same tap, same process, no ping lost
    wanted = {"guest": "web", "network": "vepanet", "mac": MAC, "ifname": row["ifname"]}
    pid = libvirtd.pid()
    taken = host.attach(attachments=[wanted], force=True)
    assert [action.split()[0] for action in taken["actions"]] == ["change"]
    assert taken["tap_paths"] == [row["tap_path"]]
    assert None not in web.pings("192.0.2.1") and libvirtd.pid() == pid

    # the definition for the next start, while the guest still runs
    ours = taken["attachments"][0]["libvirt_xml"]
    text = re.sub("<interface .*?</interface>", ours, libvirtd.virsh("dumpxml", "--inactive", "web").stdout, flags=re.S)
    libvirtd.virsh("define", "--validate", "/dev/stdin", input=text)

    # libvirt deletes what it made when the guest ends; the link that is made then is ours alone and stays
    libvirtd.virsh("destroy", "web")
    assert host.links() == {}
    made = host.attach(attachments=[wanted])["attachments"][0]
    libvirtd.virsh("start", "web")
    assert libvirtd.openings(made["tap_path"]) == 1

    # a further NIC, plugged while the guest runs
    second = host.attach(attachments=[wanted, {"guest": "web", "network": "vepanet"}])["attachments"][1]
    libvirtd.virsh("attach-device", "web", "/dev/stdin", "--live", input=second["libvirt_xml"])
    assert libvirtd.openings(second["tap_path"]) == 1

    libvirtd.virsh("destroy", "web")
    assert host.attach(attachments=[wanted], check=True)["changed"] is False

    # a boot creates the link before the guest starts on it
    host.module("macvtap_persist", attachments=host.attach(attachments=[wanted], purge=True)["attachments"])
    host.ip(f"link del {made['ifname']}")
    assert [done.returncode for done in play_boot(host, "eth0")] == [0] * 4
    libvirtd.virsh("start", "web")
    assert libvirtd.openings(made["tap_path"]) == 1

    # the other way round: the guest stops, and its old definition has libvirt create a link again
    libvirtd.virsh("destroy", "web")
    host.module("macvtap_persist", state="absent", guest="web")
    host.detach(guest="web")
    libvirtd.virsh("define", "/dev/stdin", input=original)
    libvirtd.virsh("start", "web")
    (row,) = host.module("macvtap_info", all=True)["attachments"]
    assert (row["managed"], row["mac"], row["libvirt_domain"]) == (False, MAC, "web")
    libvirtd.virsh("destroy", "web")
    assert host.links() == {}

    # at the end, libvirt has no network any more, and ours works as before
    libvirtd.virsh("net-destroy", "vepanet")
    libvirtd.virsh("net-undefine", "vepanet")
    libvirtd.virsh("define", "/dev/stdin", input=text)
    made = host.attach(attachments=[wanted])["attachments"][0]
    libvirtd.virsh("start", "web")
    assert libvirtd.openings(made["tap_path"]) == 1
    libvirtd.virsh("destroy", "web")
