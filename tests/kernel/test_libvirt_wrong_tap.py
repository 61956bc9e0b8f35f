# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What libvirt does when a user has the path of a link: it trusts the path, so the link must not be there."""

import os

import pytest
from libvirt_lab import CONSOLE, DOMAIN, Libvirtd
from persist_lab import PERSIST, play_boot
from qemu_lab import guest_image
from squatter import devtmpfs_host, squatter

NIC = {"guest": "web%d" % os.getpid(), "device": "eth0"}


@pytest.fixture(scope="module")
def libvirtd():
    with devtmpfs_host() as host, guest_image() as boot:
        daemon = Libvirtd(host)
        daemon.boot = boot
        yield daemon


def create(libvirtd, row):
    """Start the domain *web* on the link; returns the finished virsh."""
    kernel, initrd = libvirtd.boot
    interface = row["libvirt_xml"]
    text = DOMAIN.format(vcpus=1, kernel=kernel, initrd=initrd, append="", console=CONSOLE, interface=interface)
    return libvirtd.virsh("create", "/dev/stdin", input=text, check=False)


def test_libvirt_starts_no_domain_on_a_path_that_a_boot_did_not_hand_out(libvirtd):
    host = libvirtd.host
    row = host.attach(attachments=[NIC])["attachments"][0]
    host.module(PERSIST, attachments=[row])
    host.detach(guest=NIC["guest"])
    with squatter(host, row["ifindex"]):
        assert play_boot(host, "eth0")[-1].returncode != 0
        done = create(libvirtd, row)
        assert done.returncode != 0 and "specified dev doesn't exist" in done.stderr
        assert libvirtd.virsh("list", "--name").stdout.strip() == ""
    host.module(PERSIST, state="absent", guest=[NIC["guest"]])


def test_libvirt_opens_the_tap_of_a_user_when_the_link_is_there_and_its_node_is_not(libvirtd):
    """So a link without its own node is not left, and macvtap_attach refuses one that somebody else made."""
    host = libvirtd.host
    row = host.attach(attachments=[NIC])["attachments"][0]
    host.detach(guest=NIC["guest"])
    with squatter(host, row["ifindex"]):
        link = f"name {row['ifname']} index {row['ifindex']} address {row['mac']}"
        host.ip(f"link add link eth0 {link} type macvtap mode vepa", f"link set {row['ifname']} up")
        assert host.node(row["tap_path"])[1] != host.number_in_sysfs(row)
        assert create(libvirtd, row).returncode == 0
        assert libvirtd.openings(row["tap_path"]) == 1
        libvirtd.virsh("destroy", "web")
        host.ip(f"link del {row['ifname']}")
