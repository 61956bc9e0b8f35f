# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bad input: one sentence that names the value and the way out, the same in check mode, and nothing is changed."""

import pytest
from module_host import ATTACH, NETWORK, ModuleFailed

WEB = {"guest": "web", "device": "eth0"}
ENTITY = "<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>"


@pytest.fixture
def devices(host):
    """Devices of all kinds that cannot carry a macvtap."""
    host.run(["ip", "tuntap", "add", "dev", "tun0", "mode", "tun"])
    host.run(["ip", "tuntap", "add", "dev", "tap0", "mode", "tap"])
    host.ip(
        "link add name br0 type bridge",
        "link add name port0 type veth peer name port1",
        "link set port0 master br0",
        "link add link eth1 name macvlan0 type macvlan",
        "link add link eth1 name macvtap0 type macvtap",
    )
    return host


@pytest.mark.parametrize(
    "device, told",
    [
        ("missing0", "does not exist on this host; usable devices: br0, eth0, eth1"),
        ("port0", "is a port of bridge br0"),
        ("lo", "is the loopback device"),
        ("macvlan0", "name eth1"),
        ("macvtap0", "name eth1"),
        ("tun0", "name an Ethernet device"),
        ("tap0", "name an Ethernet device"),
        ("", "is empty"),
        ("x" * 128, "128 bytes"),
        ("a b", "contains ' '"),
    ],
)
def test_a_device_that_cannot_carry_a_macvtap_is_refused(devices, device, told):
    for module, options in (
        (ATTACH, {"attachments": [{"guest": "web", "device": device}]}),
        (NETWORK, {"name": "vepanet", "devices": [device]}),
    ):
        sentence = devices.refusal(module, **options)
        assert told in sentence


@pytest.mark.parametrize(
    "nic, told",
    [
        ({"mac": "01:00:5e:00:00:01"}, "multicast"),
        ({"mac": "ff:ff:ff:ff:ff:ff"}, "multicast"),
        ({"mac": "00:00:00:00:00:00"}, "zero"),
        ({"mac": "02:00"}, "'02:00'"),
        ({"mac": 120}, "'120'"),
        ({"mac": "02-00-00-00-00-01"}, "with colons"),
        ({"ifname": "x" * 16}, "16 bytes"),
        ({"mtu": 67}, "mtu 67"),
        ({"mtu": 1501}, "68 to 1500"),
        ({"mtu": 1}, "mtu 1"),
        ({"queues": 0}, "1 to 256"),
        ({"queues": 257}, "1 to 256"),
        ({"nic": -1}, "nic -1"),
        ({"mode": "passthru"}, "passthrough"),
        ({"network": "vepanet"}, "mutually exclusive"),
        ({"guest": ""}, "guest name"),
    ],
    ids=str,
)
def test_a_nic_that_cannot_be_is_refused(host, nic, told):
    assert told in host.refusal(ATTACH, attachments=[{**WEB, **nic}])


@pytest.mark.parametrize(
    "options, told",
    [
        ({}, "attachments, guests or xml"),
        ({"attachments": [{"device": "eth0"}]}, "does not name a guest"),
        ({"attachments": [{"guest": "web"}]}, "neither a network nor a device"),
        ({"attachments": [{**WEB, "nic": 1}, {**WEB, "nic": 1}]}, "two NICs number 1"),
        ({"attachments": [WEB], "mac": ["02:00:00:00:00:01"]}, "mac requires state=absent"),
        ({"attachments": [WEB], "network": "vepanet"}, "network requires state=absent"),
        ({"attachments": [WEB], "mac_prefix": "01"}, "'01'"),
        ({"attachments": [WEB], "mac_prefix": "02:00:00:00:00:00"}, "one to five"),
        ({"attachments": [WEB], "device_mode": "432"}, "in quotes"),
        ({"attachments": [WEB], "device_mode": "rw-"}, "'rw-'"),
        ({"attachments": [WEB], "device_owner": "no-such-user"}, "no-such-user"),
        ({"attachments": [WEB], "device_group": "no-such-group"}, "no-such-group"),
        ({"attachments": [WEB], "definitions_dir": "relative"}, "absolute"),
        ({"attachments": [WEB], "networks": [{"name": "a/b", "devices": ["eth0"]}]}, "'a/b'"),
        ({"attachments": [WEB], "xml": "<domain/>"}, "mutually exclusive"),
        ({"xml": ENTITY + "<domain><name>&a;</name></domain>"}, "DTD"),
        ({"xml": "<domain"}, "not well-formed"),
        ({"xml": 5}, "xml is 5"),
        ({"xml": "<domain><devices/></domain>"}, "name"),
    ],
    ids=str,
)
def test_options_that_cannot_be_are_refused(host, options, told):
    assert told in host.refusal(ATTACH, **options)


@pytest.mark.parametrize(
    "options, told",
    [
        ({"name": "vepanet"}, "no lower device"),
        ({"name": "vepanet", "devices": []}, "no lower device"),
        ({"name": "vepanet", "devices": ["eth0", "eth0"]}, "eth0 twice"),
        ({"name": "vepanet", "devices": ["eth0"], "mode": "passthru"}, "passthrough"),
        ({"name": "vepanet", "devices": ["eth0"], "definitions_dir": "relative"}, "absolute"),
        ({"devices": ["eth0"]}, "name, xml"),
        ({"name": "vepanet", "xml": "<network/>", "mode": "vepa"}, "mutually exclusive"),
        ({"name": "other", "xml": "<network><name>vepanet</name><extbridge dev='eth0'/></network>"}, "'other'"),
        ({"xml": ENTITY + "<network><name>&a;</name><extbridge dev='eth0'/></network>"}, "DTD"),
        ({"xml": "<network><name>vepanet</name><forward mode='nat'/></network>"}, "nat"),
        ({"xml": "<network><name>vepanet</name></network>"}, "isolated"),
        ({"xml": "<network><name>../../x</name><extbridge dev='eth0'/></network>"}, "../../x"),
    ],
    ids=str,
)
def test_a_network_that_cannot_be_is_refused(host, options, told):
    assert told in host.refusal(NETWORK, **options)


@pytest.mark.parametrize(
    "module, options",
    [
        (ATTACH, {"attachments": [{"guest": "new", "device": "eth0"}]}),
        (ATTACH, {"attachments": [{**WEB, "mode": "bridge"}]}),
        (ATTACH, {"attachments": [WEB], "device_mode": "0666"}),
        (ATTACH, {"state": "absent", "guest": "web"}),
        (NETWORK, {"name": "vepanet", "devices": ["eth0"]}),
    ],
    ids=str,
)
def test_without_privileges_the_sentence_says_so(host, module, options):
    host.attach(attachments=[WEB])
    before = host.snapshot()
    with pytest.raises(ModuleFailed, match="become: true"):
        host.module(module, runner=host.start_unprivileged_runner(), **options)
    assert host.snapshot() == before


def test_without_privileges_nothing_to_do_is_still_seen(host):
    host.attach(attachments=[WEB])
    assert not host.attach(attachments=[WEB], runner=host.start_unprivileged_runner())["changed"]


def test_one_bad_nic_among_good_ones_keeps_all_off(host):
    wanted = [WEB, {"guest": "db", "device": "eth1"}, {"guest": "bad", "device": "missing0"}]
    assert "guest bad nic 0 (attachments[2])" in host.refusal(ATTACH, attachments=wanted)
