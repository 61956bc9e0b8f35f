# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""libvirt's own networks and links beside ours: told apart, left alone, reported."""

import pytest
from libvirt_lab import Libvirtd
from module_host import ATTACH, NETWORK, warnings
from qemu_lab import lone_host

UUID = "7d5fc8a1-3c5e-4f0e-9d1a-0a1b2c3d4e5f"
#: two NICs on links of libvirt's making: one by way of a network, one on a lower device
DOMAIN = """\
<domain type='qemu'>
  <name>R&amp;D &lt;x&gt;</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <interface type='network'><mac address='52:54:00:00:00:71'/><source network='theirs'/></interface>
    <interface type='direct'><mac address='52:54:00:00:00:72'/><source dev='eth0' mode='bridge'/></interface>
    <interface type='ethernet'><target dev='ours0' managed='no'/></interface>
  </devices>
</domain>
"""


@pytest.fixture(scope="module")
def libvirt():
    with lone_host() as host:
        yield Libvirtd(host, make_nodes=True)


@pytest.fixture
def host(libvirt):
    libvirt.host.run(["sh", "-c", "rm -rf /etc/macvtap"])
    return libvirt.host


def problems(host, name):
    return next(network["problems"] for network in host.module("macvtap_info")["networks"] if network["name"] == name)


@pytest.mark.parametrize(
    ("name", "command", "theirs", "difference"),
    [
        ("same", "net-define", "<forward mode='vepa' dev='eth0'/>", "just the same"),
        (
            "o'ther <x>",
            "net-define",
            "<forward mode='bridge' dev='eth9'/>",
            "there with mode bridge on eth9, here with mode vepa on eth0",
        ),
        ("transient", "net-create", "<forward mode='bridge' dev='eth0'/>", "there with mode bridge on eth0"),
        (
            "tagged",
            "net-define",
            "<forward mode='passthrough' dev='eth0'/><vlan trunk='yes'><tag id='4'/><tag id='5'/></vlan>",
            "there with elements that are refused here",
        ),
        ("nat", "net-define", "<forward mode='nat'/><ip address='198.51.100.1'/>", "which is no macvtap network there"),
    ],
)
def test_a_network_that_libvirt_has_too_is_told_and_left_alone(libvirt, host, name, command, theirs, difference):
    libvirt.define(name.replace("<", "&lt;"), theirs, command)
    before = libvirt.virsh("net-dumpxml", "--network", name).stdout
    warned = warnings(host.network(name=name, devices=["eth0"], check=True))
    assert warnings(host.network(name=name, devices=["eth0"])) == warned
    assert problems(host, name) == warned
    (problem,) = warned
    assert f"libvirt has a network {name!r} too (/" in problem and difference in problem
    # said once, when it is defined
    assert warnings(host.network(name=name, devices=["eth0"])) == []
    host.network(name=name, state="absent")
    assert libvirt.virsh("net-dumpxml", "--network", name).stdout == before
    libvirt.virsh("net-destroy" if command == "net-create" else "net-undefine", "--network", name)
    assert warnings(host.network(name=name, devices=["eth0"])) == []
    assert problems(host, name) == []


def test_the_same_uuid_is_told_since_virsh_would_refuse_it(libvirt, host):
    libvirt.define("theirs", f"<uuid>{UUID}</uuid><forward mode='vepa' dev='eth9'/>")
    uuid = UUID.upper().replace("-", "")
    xml = f"<network><name>n</name><uuid>{uuid}</uuid><forward mode='vepa' dev='eth0'/></network>"
    (warning,) = warnings(host.network(xml=xml))
    assert "libvirt's network 'theirs'" in warning and "the same UUID" in warning
    assert problems(host, "n") == [warning]
    refused = libvirt.virsh("net-define", "/etc/macvtap/networks/n.xml", check=False)
    libvirt.virsh("net-undefine", "theirs")
    assert "is already defined with uuid" in refused.stderr


def test_links_that_libvirt_made_are_told_from_ours_and_left_alone(libvirt, host):
    libvirt.define("theirs", "<forward mode='vepa' dev='eth0'/>", "net-create")
    host.network(name="n", devices=["eth0"])
    ours = host.attach(attachments=[{"guest": "web", "network": "n", "ifname": "ours0"}])["attachments"][0]
    # it waits for its nodes, but not long
    libvirt.wait(
        lambda: libvirt.virsh("create", "--paused", "/dev/stdin", input=DOMAIN, check=False).returncode == 0, "R&D"
    )
    try:
        rows = {row["ifname"]: row for row in host.module("macvtap_info", all=True)["attachments"]}
        theirs = {row["mac"]: row for row in rows.values() if row["ifname"] != "ours0"}
        assert {mac[-2:]: row["libvirt_domain"] for mac, row in theirs.items()} == {"71": "R&D <x>", "72": "R&D <x>"}
        for row in theirs.values():
            foreign = "foreign: it is libvirt's, for its domain R&D <x>, not ours"
            assert row["managed"] is False
            assert row["problems"] == [f"{foreign}, and lower device eth0 belongs to network 'n'"]
        # ours is used by the domain, not made by it
        assert (rows["ours0"]["libvirt_domain"], rows["ours0"]["managed"], rows["ours0"]["problems"]) == (
            None,
            True,
            [],
        )
        (problem,) = problems(host, "n")
        assert all(f"{row['ifname']} (libvirt's, for its domain R&D <x>)" in problem for row in theirs.values())

        # not even one who names link and MAC gets it
        named = {"guest": "thief", "device": "eth0", "mode": "bridge", "mac": "52:54:00:00:00:72"}
        for ifname in ({}, {"ifname": theirs[named["mac"]]["ifname"]}):
            message = host.refusal(ATTACH, attachments=[{**named, **ifname}])
            assert "held open by pid" in message and "qemu-system-x86" in message

        links = host.links()
        host.module(NETWORK, name="n", devices=["eth0"], mode="bridge")
        host.attach(attachments=[{"guest": "web", "network": "n", "ifname": "ours0"}], purge=True)
        now = host.links()
        for row in theirs.values():
            assert now[row["ifname"]] == links[row["ifname"]]
        # somebody wrote our mark on a link of libvirt's
        name = next(iter(theirs.values()))["ifname"]
        host.ip(f"link set {name} alias 'linuxnet.macvtap guest=mine nic=0'")
        (mine,) = host.module("macvtap_info", guest="mine")["attachments"]
        assert any(problem.startswith("two owners: libvirt also created it") for problem in mine["problems"])
    finally:
        libvirt.virsh("destroy", "--domain", "R&D <x>")
        host.detach(mac=[ours["mac"]])
        libvirt.virsh("net-destroy", "theirs")
