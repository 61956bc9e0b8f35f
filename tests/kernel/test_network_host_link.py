# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host link of a network: the host and its guests reach each other, in mode bridge."""

import json
import subprocess
import sys

import pytest
from module_host import ATTACH, NETWORK, ModuleFailed

BRIDGE = {"name": "n", "mode": "bridge", "devices": ["eth1"]}
ADDRESSES = ["198.51.100.1/24", "2001:db8:51::1/64"]
MEET = {**BRIDGE, "host_link": {"addresses": ADDRESSES}}

#: A guest with 198.51.100.2 on the tap that is its argument: answers ARP and ping.
GUEST = r"""
import fcntl, os, struct, sys
tap, mac, own = os.open(sys.argv[1], os.O_RDWR), bytes.fromhex(sys.argv[2].replace(":", "")), bytes([198, 51, 100, 2])
header = struct.unpack("i", fcntl.ioctl(tap, 0x800454D7, bytes(4)))[0]
def summed(data):
    total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", total ^ 0xFFFF)
print("ready", flush=True)
while True:
    frame = os.read(tap, 65536)[header:]
    source, kind, rest = frame[6:12], frame[12:14], frame[14:]
    if kind == b"\x08\x06" and rest[6:8] == b"\0\1" and rest[24:28] == own:
        answer = rest[:6] + b"\0\2" + mac + own + rest[8:18]
    elif kind == b"\x08\0" and rest[9] == 1 and rest[16:20] == own and rest[20] == 8:
        data = rest[24 : struct.unpack("!H", rest[2:4])[0]]
        answer = rest[:12] + own + rest[12:16] + b"\0\0" + summed(b"\0\0\0\0" + data + b"\0" * (len(data) % 2)) + data
    else:
        continue
    os.write(tap, bytes(header) + source + mac + kind + answer)
"""


def addresses(host, name):
    """Global addresses of a link."""
    rows = json.loads(host.run(["ip", "-json", "address", "show", "dev", name, "scope", "global"]).stdout)
    return sorted(f"{each['local']}/{each['prefixlen']}" for row in rows if row for each in row["addr_info"] if each)


def test_the_host_and_a_guest_reach_each_other(host):
    network = host.network(**MEET)["network"]
    row = host.attach(attachments=[{"guest": "web", "network": "n"}])["attachments"][0]
    guest = host.spawn([sys.executable, "-c", GUEST, row["tap_path"], row["mac"]], stdout=subprocess.PIPE, text=True)
    assert guest.stdout.readline() == "ready\n"
    ping = ["busybox", "ping", "-c", "3", "-i", "0.2", "-W", "1", "198.51.100.2"]
    answered = host.run(ping, check=False)
    assert answered.returncode == 0 and "3 packets received" in answered.stdout
    told = host.module("macvtap_info")
    assert told["networks"][0]["problems"] == [] and told["attachments"][0]["problems"] == []
    assert {**told["networks"][0]["host_link"], "addresses": ADDRESSES} == network["host_link"]
    # through the lower device the guest is out of reach
    host.network(**BRIDGE, host_link={})
    host.ip("address add 198.51.100.1/24 dev eth1")
    host.switch.set_hairpin(False)
    try:
        assert host.run(ping, check=False).returncode != 0
    finally:
        host.switch.set_hairpin(True)
        host.ip("address del 198.51.100.1/24 dev eth1")


def test_a_host_link_converges(host):
    result = host.converges(NETWORK, **MEET)
    made = result["network"]["host_link"]
    assert (made["ifname"], made["device"], made["addresses"]) == ("mvh-n", "eth1", ADDRESSES)
    link = host.links("macvlan")["mvh-n"]
    assert link["linkinfo"]["info_data"]["mode"] == "bridge" and "UP" in link["flags"]
    assert link["ifalias"] == "linuxnet.macvtap host network=n" and link["address"] == made["mac"]
    assert addresses(host, "mvh-n") == sorted(ADDRESSES)
    assert any(action.startswith("create host link mvh-n of network n on eth1: MAC") for action in result["actions"])
    assert host.network(**BRIDGE)["network"]["host_link"]["mac"] == made["mac"]
    assert not host.network(**BRIDGE)["changed"]


def test_what_is_asked_for_is_so(host):
    asked = {"ifname": "uplink", "mac": "02:00:00:00:00:99", "addresses": []}
    made = host.converges(NETWORK, **BRIDGE, host_link=asked)["network"]["host_link"]
    assert made == {**asked, "device": "eth1", "vlan": None, "vlan_parent": None}
    host.ip("address add 203.0.113.9/24 dev uplink")
    # without addresses they are the host's own business
    assert not host.network(**BRIDGE, host_link={"ifname": "uplink", "mac": asked["mac"]})["changed"]
    assert addresses(host, "uplink") == ["203.0.113.9/24"]


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        ("link set mvh-n down", "link_state down -> up"),
        ("address del 198.51.100.1/24 dev mvh-n", "addresses"),
        ("address add 198.51.100.77/24 dev mvh-n", "addresses"),
        ("link set mvh-n type macvlan mode private", "mode private -> bridge"),
        ("link set mvh-n address 02:00:00:00:00:55", "mac 02:00:00:00:00:55 ->"),
    ],
)
def test_drift_is_repaired_in_place(host, damage, word):
    host.network(**MEET)
    before = host.link("mvh-n")["ifindex"]
    host.ip(damage)
    actions = host.converges(NETWORK, **MEET)["actions"]
    assert len(actions) == 1 and actions[0].startswith("change host link mvh-n of network n: ") and word in actions[0]
    assert host.link("mvh-n")["ifindex"] == before and addresses(host, "mvh-n") == sorted(ADDRESSES)


def test_other_addresses_of_the_same_subnet_stay_when_the_first_goes(host):
    both = ["198.51.100.1/24", "198.51.100.2/24"]
    host.network(**BRIDGE, host_link={"addresses": both})
    host.converges(NETWORK, **BRIDGE, host_link={"addresses": ["198.51.100.2/24", "198.51.100.3/24"]})
    assert addresses(host, "mvh-n") == ["198.51.100.2/24", "198.51.100.3/24"]


def test_another_name_or_device_creates_it_again(host):
    host.network(**MEET)
    actions = host.converges(NETWORK, **BRIDGE, host_link={"ifname": "mv-x", "addresses": ADDRESSES})["actions"]
    assert "delete host link mvh-n of network n to create it again: ifname mvh-n -> mv-x" in actions
    # it follows the pool, also where the task does not mention it
    result = host.converges(NETWORK, name="n", mode="bridge", devices=["eth0"])
    assert result["network"]["host_link"]["device"] == "eth0" and addresses(host, "mv-x") == sorted(ADDRESSES)
    assert not host.network(name="n", mode="bridge", devices=["eth1", "eth0"])["changed"] or (
        host.link("mv-x")["link"] == "eth0"
    )


@pytest.mark.parametrize("how", [{**BRIDGE, "host_link": {}}, {"name": "n", "state": "absent"}])
def test_it_goes_when_it_is_not_wanted_and_with_its_network(host, how):
    host.network(**MEET)
    assert "delete host link mvh-n of network n" in host.converges(NETWORK, **how)["actions"]
    assert host.links("macvlan") == {}


@pytest.mark.parametrize("mode", ["vepa", "private", "passthrough"])
def test_it_is_refused_in_other_modes_with_the_reason(host, mode):
    sentence = host.refusal(NETWORK, **{**MEET, "mode": mode})
    assert f"network 'n' cannot have a host link: in mode {mode} " in sentence
    host.network(**MEET)
    sentence = host.refusal(NETWORK, **{**BRIDGE, "mode": mode})
    assert sentence.endswith("set host_link: {} to remove it")
    host.converges(NETWORK, **{**BRIDGE, "mode": mode}, host_link={})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("198.51.100.1", "'198.51.100.1' has no prefix length"),
        ("198.51.100.0/24", "network or broadcast address"),
        ("198.51.100.255/24", "network or broadcast address"),
        ("224.0.0.1/24", "multicast"),
        ("127.0.0.1/8", "loopback"),
        ("::/64", "unspecified"),
        ("198.51.100.1/33", "'198.51.100.1/33'"),
        ("eth0", "'eth0'"),
    ],
)
def test_a_wrong_address_is_refused_by_name(host, wrong, words):
    sentence = host.refusal(NETWORK, **BRIDGE, host_link={"addresses": [wrong]})
    assert sentence.startswith("addresses of host_link") and words in sentence


def test_an_address_listed_twice_is_refused(host):
    wrong = ["198.51.100.1/24", "198.51.100.1/25"]
    assert "198.51.100.1 twice" in host.refusal(NETWORK, **BRIDGE, host_link={"addresses": wrong})


def test_a_name_or_a_mac_of_another_link_is_refused_with_whose_it_is(host):
    row = host.attach(attachments=[{"guest": "web", "device": "eth1", "mode": "bridge"}])["attachments"][0]
    assert "eth0 belongs to another link" in host.refusal(NETWORK, **BRIDGE, host_link={"ifname": "eth0"})
    sentence = host.refusal(NETWORK, **BRIDGE, host_link={"mac": row["mac"]})
    assert f"MAC {row['mac']} is already in use on eth1 by macvtap0 (guest web nic 0)" in sentence


def test_a_guest_does_not_get_the_mac_of_the_host_link(host):
    mac = host.network(**MEET)["network"]["host_link"]["mac"]
    sentence = host.refusal(ATTACH, attachments=[{"guest": "web", "network": "n", "mac": mac}])
    assert "mvh-n (host link of network n)" in sentence


def test_one_that_a_killed_run_left_without_its_tag_is_adopted(host):
    host.network(**MEET)
    host.ip("link set mvh-n alias ''", "link set mvh-n down", "address flush dev mvh-n")
    before = host.link("mvh-n")["ifindex"]
    host.converges(NETWORK, **MEET)
    assert host.link("mvh-n")["ifindex"] == before and addresses(host, "mvh-n") == sorted(ADDRESSES)


def test_a_macvlan_of_another_program_is_left_alone(host):
    host.ip("link add link eth1 name mvh-n type macvlan mode bridge")
    assert "the name mvh-n belongs to another link" in host.refusal(NETWORK, **MEET)


def test_a_failure_after_it_takes_it_back(host):
    host.run(["sh", "-c", "mkdir -p /etc/macvtap/ro && mount -t tmpfs -o ro ro /etc/macvtap/ro"])
    try:
        with pytest.raises(ModuleFailed, match="rolled back"):
            host.network(**MEET, definitions_dir="/etc/macvtap/ro")
        assert host.links("macvlan") == {}
    finally:
        host.run(["umount", "/etc/macvtap/ro"])
    host.network(**MEET)
    before = host.link("mvh-n")["address"]
    host.run(["sh", "-c", "mount --bind /etc/macvtap/networks /etc/macvtap/networks && "
              "mount -o remount,ro,bind /etc/macvtap/networks"])  # fmt: skip
    try:
        with pytest.raises(ModuleFailed, match="rolled back"):
            host.network(name="n", mode="vepa", devices=["eth1"], host_link={})
        assert host.link("mvh-n")["address"] == before and addresses(host, "mvh-n") == sorted(ADDRESSES)
    finally:
        host.run(["umount", "/etc/macvtap/networks"])
