# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests as libvirt has them: a macvtap NIC beside one on a network of another kind, which only libvirt knows."""

import re

import pytest
from libvirt_lab import Libvirtd
from module_host import ATTACH, ModuleFailed, warnings
from qemu_lab import lone_host

#: networks of every kind that are not macvtap networks, as they are given to libvirt
OTHER_KINDS = {
    "nat": "<forward mode='nat'/><ip address='198.51.100.1' netmask='255.255.255.0'/>",
    "route": "<forward mode='route'/><ip address='198.51.100.129' netmask='255.255.255.128'/>",
    "open": "<forward mode='open'/><ip address='203.0.113.1' netmask='255.255.255.0'/>",
    "isolated": "",
    "hostbridge": "<forward mode='bridge'/><bridge name='br0'/>",
    "openvswitch": "<forward mode='bridge'/><bridge name='ovs0'/><virtualport type='openvswitch'/>"
    "<portgroup name='tagged'><vlan><tag id='42'/></vlan></portgroup>",
    "hostdev": "<forward mode='hostdev' managed='yes'><pf dev='eth0'/></forward>",
}
#: what a NIC may ask for on such a network and not on a macvtap
ELEMENTS = (
    "<filterref filter='clean-traffic'/><vlan><tag id='42'/></vlan><virtualport type='openvswitch'/>"
    "<bandwidth><inbound average='1000'/></bandwidth>"
)
#: what a NIC may ask for and a macvtap cannot do
VIRTUALPORT = "<virtualport type='802.1Qbh'><parameters profileid='p'/></virtualport>"
DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    {interfaces}
  </devices>
</domain>
"""
OURS = {"name": "vepanet", "mode": "vepa", "devices": ["eth0"]}


def on(network, inside="", attributes=""):
    return f"<interface type='network'><source network='{network}'{attributes}/>{inside}</interface>"


DIRECT = "<interface type='direct'><source dev='eth0' mode='bridge'/>{}</interface>"


@pytest.fixture(scope="module")
def libvirt():
    with lone_host() as host:
        libvirtd = Libvirtd(host)
        host.ip("link add br0 type bridge")
        for name, inside in OTHER_KINDS.items():
            define_network(libvirtd, name, inside)
        yield libvirtd


@pytest.fixture
def host(libvirt):
    libvirt.host.detach(network="vepanet")
    libvirt.host.detach(guest="a")
    return libvirt.host


def define_network(libvirt, name, inside, command="net-define"):
    libvirt.virsh(command, "/dev/stdin", input=f"<network><name>{name}</name>{inside}</network>")


def dumped(libvirt, name, *interfaces):
    """The definition of a guest as libvirt prints it; its test driver looks at no emulator, which takes seconds."""
    text = DOMAIN.format(name=name, interfaces="".join(interfaces)).replace("type='qemu'", "type='test'")
    text = text.replace("<emulator>/usr/bin/qemu-system-x86_64</emulator>", "")
    command = ["virsh", "--quiet", "--connect", "test:///default", f"define /dev/stdin; dumpxml --inactive {name}"]
    # names that it makes up, and that no other driver does
    return re.sub("<target dev='testnet[0-9]+'/>", "", libvirt.host.run(command, input=text).stdout)


def nics(result):
    return [(row["guest"], row["nic"], row["device"]) for row in result["attachments"]]


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_guest_with_a_second_nic_on_a_network_of_another_kind_is_attached(libvirt, host, kind):
    text = dumped(libvirt, "web", on(kind, ELEMENTS), on("vepanet"))
    for element in ("filterref", "<vlan>", "virtualport", "bandwidth"):
        assert element in text, text
    result = host.converges(ATTACH, xml=text, networks=[OURS], purge=True)
    assert nics(result) == [("web", 1, "eth0")] and result["skipped_guests"] == []
    assert host.detach(xml=text)["changed"] is True and host.module("macvtap_info")["attachments"] == []


def test_a_running_network_that_is_defined_nowhere_is_known(libvirt, host):
    define_network(libvirt, "transient", OTHER_KINDS["hostbridge"], "net-create")
    text = dumped(libvirt, "web", on("transient", ELEMENTS), on("vepanet"))
    assert nics(host.attach(xml=text, networks=[OURS])) == [("web", 1, "eth0")]
    libvirt.virsh("net-destroy", "transient")
    message = host.refusal(ATTACH, xml=text, networks=[OURS])
    assert "network 'transient' is defined neither here (defined: 'vepanet') nor in libvirt on this host" in message
    assert message.endswith("or, if it is not a macvtap network, name it in other_networks")
    assert nics(host.attach(xml=text, networks=[OURS], other_networks=["transient"])) == [("web", 1, "eth0")]


def test_live_and_inactive_definition_of_a_guest_ask_for_the_same(libvirt, host):
    libvirt.virsh("net-start", "hostbridge")
    text = DOMAIN.format(name="web", interfaces=on("hostbridge", "<port isolated='yes'/>"))
    libvirt.virsh("define", "/dev/stdin", input=text)
    libvirt.virsh("start", "--paused", "web")
    live = libvirt.virsh("dumpxml", "web").stdout
    inactive = libvirt.virsh("dumpxml", "--inactive", "web").stdout
    libvirt.virsh("destroy", "web")
    libvirt.virsh("undefine", "web")
    assert "bridge='br0'" in live and "br0" not in inactive
    for text in (live, inactive):
        assert host.attach(xml=text)["attachments"] == []


def test_a_macvtap_network_of_libvirts_is_to_be_defined_here(libvirt, host):
    define_network(libvirt, "theirs", "<forward mode='vepa' dev='eth0'/>")
    text = dumped(libvirt, "web", on("theirs"))
    assert "is a macvtap network of libvirt's, but not defined here" in host.refusal(ATTACH, xml=text)
    assert host.attach(xml=text, other_networks=["theirs"])["attachments"] == []
    host.network(xml=libvirt.virsh("net-dumpxml", "--inactive", "theirs").stdout)
    assert nics(host.attach(xml=text)) == [("web", 0, "eth0")]
    host.detach(xml=text)
    host.network(name="theirs", state="absent")
    libvirt.virsh("net-undefine", "theirs")


def test_one_bad_guest_does_not_stop_the_others(libvirt, host):
    documents = [
        dumped(libvirt, "a", DIRECT.format("")),
        dumped(libvirt, "b", DIRECT.format(""), DIRECT.format(VIRTUALPORT)),
        dumped(libvirt, "c", on("nowhere")),
        dumped(libvirt, "d", on("nat"), on("isolated", ELEMENTS)),
        dumped(libvirt, "e", "<interface type='direct'><source dev='eth9'/></interface>"),
        dumped(libvirt, "f", DIRECT.format("<mac address='52:54:00:00:00:77'/>")),
    ]
    host.ip("link add theirs0 link eth0 address 52:54:00:00:00:77 type macvtap mode bridge")
    assert "has <virtualport>" in host.refusal(ATTACH, xml=documents)
    result = host.converges(ATTACH, xml=documents, skip_unsupported=True)
    assert nics(result) == [("a", 0, "eth0")]
    reasons = {row["guest"]: (row["reason"], row["temporary"]) for row in result["skipped_guests"]}
    assert {guest: temporary for guest, (_reason, temporary) in reasons.items()} == {
        "b": False,
        "c": False,
        "e": False,
        "f": True,
    }
    for guest, said in (
        ("b", "interface 1 of domain 'b' has <virtualport>"),
        ("c", "'nowhere' is defined neither here"),
        ("e", "lower device 'eth9' does not exist"),
        ("f", "MAC 52:54:00:00:00:77 is already in use on eth0"),
    ):
        assert said in reasons[guest][0]
    assert warnings(host.attach(xml=documents, skip_unsupported=True)) == [
        "4 guests were skipped, see skipped_guests for the reasons: b, c, e, f"
    ]
    host.ip("link del theirs0")


def test_a_guest_that_is_skipped_keeps_what_it_has(libvirt, host):
    good = dumped(libvirt, "a", DIRECT.format(""), DIRECT.format(""))
    bad = dumped(libvirt, "a", DIRECT.format(VIRTUALPORT))
    gone = dumped(libvirt, "a", "<interface type='direct'><source dev='eth9'/></interface>")
    rows = host.attach(xml=good)["attachments"]
    for text in (bad, gone):
        for guest in ("a", None):
            result = host.attach(xml=text, guest=guest, purge=True, skip_unsupported=True)
            assert result["actions"] == [] and [row["guest"] for row in result["skipped_guests"]] == ["a"]
    result = host.detach(xml=bad, skip_unsupported=True)
    assert result["changed"] is False and [row["guest"] for row in result["skipped_guests"]] == ["a"]
    now = host.module("macvtap_info", guest="a")["attachments"]
    assert {row["ifindex"] for row in now} == {row["ifindex"] for row in rows}
    with pytest.raises(ModuleFailed, match="has <virtualport>"):
        host.detach(xml=bad)
