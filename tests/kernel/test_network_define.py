# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Definitions of networks: from options and from XML, on disk whole or not at all."""

import pytest
from module_host import DEFINITIONS, NETWORK, ModuleFailed

VEPANET = f"{DEFINITIONS}/vepanet.xml"


@pytest.mark.parametrize(
    "options, mode, devices",
    [
        ({"name": "vepanet", "devices": ["eth0"]}, "vepa", ["eth0"]),
        ({"name": "vepanet", "devices": ["eth1", "eth0"], "mode": "bridge"}, "bridge", ["eth1", "eth0"]),
        ({"name": "vepanet", "devices": ["eth0"], "mode": "private"}, "private", ["eth0"]),
        ({"name": "vepanet", "devices": ["eth0"], "mode": "passthrough"}, "passthrough", ["eth0"]),
        ({"xml": "<network><name>vepanet</name><extbridge mode='vepa' dev='eth0'/></network>"}, "vepa", ["eth0"]),
        (
            {"xml": "<network><name>vepanet</name><extbridge dev='eth0'/><bridge name='b'/><ip/></network>"},
            "vepa",
            ["eth0"],
        ),
        (
            {"xml": "<network><name>vepanet</name><forward mode='bridge' dev='eth1'/></network>"},
            "bridge",
            ["eth1"],
        ),
        (
            {
                "xml": "<network><name>vepanet</name><forward mode='private' dev='eth0'>"
                "<interface dev='eth0'/><interface dev='eth1'/></forward></network>",
                "name": "vepanet",
            },
            "private",
            ["eth0", "eth1"],
        ),
    ],
    ids=str,
)
def test_a_network_converges(host, options, mode, devices):
    network = host.converges(NETWORK, **options)["network"]
    assert (network["name"], network["mode"]) == ("vepanet", mode)
    assert [device["name"] for device in network["devices"]] == devices
    assert network["path"] == VEPANET
    assert host.run(["cat", VEPANET]).stdout == network["xml"]
    host.converges(NETWORK, xml=network["xml"])


def test_the_facts_of_a_device_are_the_kernels(host):
    device = host.network(name="vepanet", devices=["eth0"])["network"]["devices"][0]
    link = host.link("eth0")
    assert (device["ifindex"], device["mac"], device["mtu"]) == (link["ifindex"], link["address"], link["mtu"])
    assert (device["operstate"], device["attachments"]) == (link["operstate"].lower(), 0)


def test_a_device_that_is_down_is_brought_up_and_not_touched_otherwise(host):
    host.ip("link set eth1 mtu 1400 down", "address replace 198.51.100.1/24 dev eth1")
    result = host.converges(NETWORK, name="vepanet", devices=["eth1"])
    assert "bring up lower device eth1" in result["actions"]
    assert host.link("eth1")["mtu"] == 1400 and "UP" in host.link("eth1")["flags"]
    assert "198.51.100.1/24" in host.run(["ip", "address", "show", "dev", "eth1"]).stdout
    host.ip("address flush dev eth1")


def test_a_definition_may_be_read_by_all_and_written_by_root(host):
    host.network(name="vepanet", devices=["eth0"])
    assert host.node(VEPANET)[2:] == ("644", "0:0")


def test_another_spelling_of_the_same_network_changes_nothing(host):
    host.network(xml="<network><name>vepanet</name><extbridge mode='vepa' dev='eth0'/></network>")
    xml = "<network>\n <!-- uplink -->\n<name>vepanet</name>\n<forward dev='eth0' mode='vepa'/>\n</network>"
    host.network(xml=xml)
    assert not host.network(name="vepanet", devices=["eth0"])["changed"]


def test_options_keep_what_only_the_document_says(host):
    uuid = "11111111-2222-4333-8444-555555555555"
    host.network(
        xml=f"<network><name>vepanet</name><uuid>{uuid}</uuid><forward mode='vepa' dev='eth0'/>"
        "<portgroup name='p' default='yes'/></network>"
    )
    network = host.converges(NETWORK, name="vepanet", devices=["eth0"], mode="bridge")["network"]
    assert uuid in network["xml"] and "portgroup" in network["xml"]


def test_an_absent_network_is_removed_once(host):
    host.network(name="vepanet", devices=["eth0"])
    gone = host.converges(NETWORK, name="vepanet", state="absent")
    assert (gone["network"]["mode"], gone["changed"]) == ("vepa", True)
    assert host.node(VEPANET) is None


def test_a_network_that_never_was_is_absent_already(host):
    assert not host.converges(NETWORK, name="vepanet", state="absent")["changed"]


def test_a_network_is_removed_although_its_device_is_gone(host):
    host.run(["ip", "link", "add", "name", "up0", "type", "veth", "peer", "name", "up1"])
    host.network(name="vepanet", devices=["up0"])
    host.ip("link delete up0")
    assert host.converges(NETWORK, name="vepanet", state="absent")["changed"]


@pytest.mark.parametrize(
    "text", ["", "<network", "not XML", "<network><name>other</name><extbridge dev='eth0'/></network>"]
)
def test_a_damaged_definition_is_told_apart_and_can_be_removed(host, text):
    host.network(name="vepanet", devices=["eth0"])
    host.run(["sh", "-c", f'printf %s "$0" > {VEPANET}', text])
    assert VEPANET in host.refusal(NETWORK, name="vepanet", devices=["eth0"])
    assert host.converges(NETWORK, name="vepanet", state="absent")["changed"]


def test_a_full_disk_leaves_the_old_definition(host):
    host.run(["sh", "-c", "mkdir -p /etc/macvtap/small && mount -t tmpfs -o size=4k small /etc/macvtap/small"])
    try:
        host.network(name="vepanet", devices=["eth0"], definitions_dir="/etc/macvtap/small")
        before = host.read("/etc/macvtap/small/vepanet.xml")
        with pytest.raises(ModuleFailed, match=r"vepanet\.xml"):
            host.network(name="vepanet", devices=["eth1"], definitions_dir="/etc/macvtap/small")
        assert host.read("/etc/macvtap/small/vepanet.xml") == before
        assert host.run(["ls", "-A", "/etc/macvtap/small"]).stdout.split() == ["vepanet.xml"]
    finally:
        host.run(["umount", "/etc/macvtap/small"])


def test_a_read_only_directory_is_named(host):
    host.run(["sh", "-c", "mkdir -p /etc/macvtap/ro && mount -t tmpfs -o ro ro /etc/macvtap/ro"])
    try:
        with pytest.raises(ModuleFailed, match="/etc/macvtap/ro"):
            host.network(name="vepanet", devices=["eth0"], definitions_dir="/etc/macvtap/ro")
    finally:
        host.run(["umount", "/etc/macvtap/ro"])


@pytest.mark.parametrize("how", ["mkdir %s", "mkfifo %s", "ln -s /etc/passwd %s", "mknod %s c 1 3"])
def test_what_is_no_file_in_the_place_of_a_definition_is_refused(host, how):
    host.run(["sh", "-c", f"mkdir -p {DEFINITIONS} && " + how % VEPANET])
    lies_there = host.node(VEPANET)
    passwd = host.read("/etc/passwd")
    with pytest.raises(ModuleFailed, match="vepanet"):
        host.network(name="vepanet", devices=["eth0"])
    assert host.node(VEPANET) == lies_there and host.read("/etc/passwd") == passwd


def test_twenty_networks_defined_at_once_are_all_there(host):
    runners = [host.start_runner() for _number in range(4)]
    for first in range(0, 20, 4):
        for offset, runner in enumerate(runners):
            host.send(runner, NETWORK, name=f"n{first + offset}", devices=["eth0"])
        assert all(host.receive(runner)["changed"] for runner in runners)
    assert len(host.run(["ls", "-A", DEFINITIONS]).stdout.split()) == 20
