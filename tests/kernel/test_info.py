# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""macvtap_info tells what is live and what is wrong, and changes nothing."""

import pytest

INFO = "macvtap_info"


@pytest.fixture
def row(host):
    """Guest web on network n, attached."""
    host.network(name="n", devices=["eth0"])
    return host.attach(attachments=[{"guest": "web", "network": "n"}])["attachments"][0]


def told(host, **options):
    """The one attachment told of guest web, after a look that info changed nothing."""
    before = host.snapshot()
    (found,) = host.module(INFO, guest="web", **options)["attachments"]
    assert host.snapshot() == before
    return found


def problems(host):
    return told(host)["problems"]


def test_a_healthy_attachment_is_told_as_attach_returns_it(host, row):
    found = told(host)
    assert {key: found[key] for key in row} == row
    assert (found["managed"], found["holders"], found["problems"]) == (True, [], [])
    assert found["operstate"] in ("up", "unknown")
    assert set(found["statistics"]) >= {"rx_bytes", "tx_packets"}


def test_networks_are_told_with_their_devices(host, row):
    (network,) = host.module(INFO)["networks"]
    assert (network["name"], network["mode"], network["problems"]) == ("n", "vepa", [])
    assert [(device["name"], device["attachments"]) for device in network["devices"]] == [("eth0", 1)]


def test_holders_are_told_and_two_of_them_are_a_problem(host, row):
    host.hold(row["tap_path"])
    assert len(told(host)["holders"]) == 1
    assert problems(host) == []
    host.hold(row["tap_path"])
    assert [holder["command"] for holder in told(host)["holders"]] == [told(host)["holders"][0]["command"]] * 2
    assert any("held open by 2 processes" in problem for problem in problems(host))


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("rm {path}", "node missing: nothing lies at {path}"),
        ("rm {path}; touch {path}", "node of another kind: a regular file lies at {path}"),
        ("rm {path}; mknod {path} c 1 3", "node of another device: {path} is 1:3"),
        ("ip link set eth0 down", "lower device eth0 is down"),
        ("ip link set {ifname} arp on", "the host's own IP stack is not silent"),
        ("ip link set {ifname} type macvtap mode private", "mode is private, that of network 'n' is vepa"),
        ("rm /etc/macvtap/networks/n.xml", "orphan: network 'n' is no longer defined"),
        (
            "ip link add copy link eth0 address {mac} type macvtap; ip link set {ifname} address {mac}",
            "duplicate MAC: another macvtap on eth0 has {mac} too",
        ),
        (
            "ip link add copy link eth1 type macvtap; ip link set copy alias 'linuxnet.macvtap guest=web nic=0'",
            "duplicate owner tag",
        ),
    ],
    ids=str,
)
def test_what_is_wrong_is_told(host, row, script, problem):
    host.run(["sh", "-c", script.format(path=row["tap_path"], **row)])
    found = [problem for link in host.module(INFO, guest="web")["attachments"] for problem in link["problems"]]
    host.run(["sh", "-c", "ip link set eth0 up; rm -f %s; ip link delete copy 2>/dev/null || true" % row["tap_path"]])
    assert any(problem.format(path=row["tap_path"], **row) in each for each in found), found


def test_a_mac_of_a_guest_may_be_on_two_devices_unless_they_meet(host):
    mac = "02:00:00:00:00:07"
    wanted = [{"guest": "web", "device": device, "mac": mac} for device in ("eth0", "eth1")]
    host.converges("macvtap_attach", attachments=wanted)
    assert [row["problems"] for row in host.module(INFO)["attachments"]] == [[], []]
    # another NIC of the host
    host.ip(f"link add other address {mac} type bridge")
    told = host.module(INFO)["attachments"]
    assert [row["problems"] for row in told] == [[f"duplicate MAC: other, another NIC of this host, has {mac} too"]] * 2
    host.detach(guest="web")
    # two devices that end in one bridge
    host.ip("link delete other", "link add br0 type bridge")
    for number in (0, 1):
        host.ip(f"link add in{number} type veth peer name out{number}", f"link set out{number} master br0 up")
    wanted = [{"guest": "web", "device": device, "mac": mac} for device in ("in0", "in1", "br0")]
    rows = host.attach(attachments=wanted)["attachments"]
    told = {row["ifname"]: row["problems"] for row in host.module(INFO)["attachments"]}
    for row in rows:
        others = [other for other in rows if other is not row]
        assert {problem for problem in told[row["ifname"]] if "MAC" in problem} == {
            f"duplicate MAC: {each['ifname']} on {each['device']} has {mac} too, and both devices are connected to br0"
            for each in others
        }


def test_the_mac_that_a_lower_device_lends_is_no_duplicate(host):
    host.attach(attachments=[{"guest": "web", "device": "eth1", "mode": "passthrough", "mac": "02:00:00:00:00:08"}])
    assert host.link("eth1")["address"] == "02:00:00:00:00:08"
    assert host.module(INFO)["attachments"][0]["problems"] == []
    host.detach(guest="web")


def test_a_foreign_macvtap_on_a_device_of_ours_is_told(host, row):
    host.ip("link add stranger link eth0 type macvtap mode bridge")
    assert [link["guest"] for link in host.module(INFO)["attachments"]] == ["web"]
    everything = host.module(INFO, all=True)
    stranger = next(link for link in everything["attachments"] if link["ifname"] == "stranger")
    assert (stranger["managed"], stranger["guest"]) == (False, None)
    assert any("lower device eth0 belongs to network 'n'" in problem for problem in stranger["problems"])
    assert any("also carries stranger" in problem for problem in everything["networks"][0]["problems"])


def test_a_network_whose_device_is_gone_or_enslaved_is_told(host):
    host.network(name="n", devices=["eth0", "eth1"])
    host.ip("link set eth0 down", "link set eth0 name away", "link add br0 type bridge", "link set eth1 master br0")
    (network,) = host.module(INFO)["networks"]
    host.ip("link set away name eth0", "link set eth0 up", "link delete br0")
    assert "lower device eth0 does not exist" in network["problems"]
    assert any("eth1 is a port of bridge br0" in problem for problem in network["problems"])


def test_a_damaged_definition_is_told_and_hides_no_other(host):
    host.network(name="n", devices=["eth0"])
    host.run(["sh", "-c", "echo '<network>' >/etc/macvtap/networks/broken.xml"])
    networks = {network["name"]: network for network in host.module(INFO)["networks"]}
    assert networks["n"]["problems"] == []
    assert networks["broken"]["mode"] is None
    assert any("broken.xml is not usable" in problem for problem in networks["broken"]["problems"])


@pytest.mark.parametrize(
    ("options", "guests"),
    [
        ({"guest": "a"}, {"a"}),
        ({"network": "n"}, {"a", "b"}),
        ({"device": "eth1"}, {"b", "c"}),
        ({"mac": ["02:00:00:00:00:0C"]}, {"c"}),
        ({"network": "n", "device": "eth1"}, {"b"}),
        ({"guest": "nobody"}, set()),
    ],
    ids=str,
)
def test_filters_narrow(host, options, guests):
    host.network(name="n", devices=["eth0", "eth1"])
    wanted = [{"guest": guest, "network": "n"} for guest in ("a", "b")]
    host.attach(attachments=[*wanted, {"guest": "c", "device": "eth1", "mac": "02:00:00:00:00:0c"}])
    assert {link["guest"] for link in host.module(INFO, **options)["attachments"]} == guests
