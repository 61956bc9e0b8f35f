# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bandwidth of a NIC: limited in both directions, in place, repaired, and removed without a trace."""

import pathlib
import sys

import pytest
from module_host import ATTACH, NETWORK
from qemu_lab import lone_host

METER = pathlib.Path(__file__).parent / "support/rate_meter.py"
LIMIT = {"inbound": {"average": 512}, "outbound": {"average": 256, "peak": 1024, "burst": 64}}
#: as it applies: with the burst that is the default for its MTU
APPLIES = {
    "inbound": {"average": 512, "peak": None, "burst": 5},
    "outbound": {"average": 256, "peak": 1024, "burst": 64},
}


@pytest.fixture(scope="module")
def lone():
    with lone_host() as host:
        yield host


@pytest.fixture
def host(lone):
    lone.detach(guest="web")
    lone.detach(guest="db")
    yield lone


def nic(**options):
    return {"guest": "web", "device": "eth0", "mode": "bridge", **options}


def limits(host):
    return [row["bandwidth"] for row in host.module("macvtap_info")["attachments"]]


def shaping(host):
    """All qdiscs, filters and ifbs of the host."""
    links = host.run(["ip", "-json", "link", "show", "type", "ifb"]).stdout.strip()
    filters = host.run(["sh", "-c", "for n in /sys/class/net/macvtap*; do tc filter show dev ${n##*/} ingress; done"])
    return host.run(["tc", "qdisc", "show"]).stdout, filters.stdout, links.replace("[]", "").replace("[{}]", "")


def test_both_directions_are_limited_and_removed_without_a_trace(host):
    host.attach(attachments=[nic()])
    untouched = shaping(host)
    row = host.converges(ATTACH, attachments=[nic(bandwidth=LIMIT)])["attachments"][0]
    assert row["bandwidth"] == APPLIES and limits(host) == [APPLIES]
    qdiscs, filters, _links = shaping(host)
    assert qdiscs.count(" tbf ") == 2 and "clsact" in qdiscs and "mirred" in filters
    result = host.converges(ATTACH, attachments=[nic()])
    assert result["attachments"][0]["bandwidth"] is None and shaping(host) == untouched
    host.converges(ATTACH, attachments=[nic(bandwidth=LIMIT)])
    host.detach(guest="web")
    assert "mvtp" not in host.run(["ip", "link"]).stdout


def test_a_limit_is_created_with_the_link_and_changed_in_place(host):
    first = host.converges(ATTACH, attachments=[nic(bandwidth=LIMIT)])
    assert [action.split()[0] for action in first["actions"]] == ["create"] and limits(host) == [APPLIES]
    result = host.converges(ATTACH, attachments=[nic(bandwidth={"outbound": {"average": 100}})])
    assert result["actions"] == [
        "change macvtap0 of guest web nic 0: bandwidth inbound 512 KiB/s (burst 5 KiB), outbound 256 KiB/s (peak 1024"
        " KiB/s, burst 64 KiB) -> outbound 100 KiB/s (burst 3 KiB)"
    ]
    assert limits(host) == [{"inbound": None, "outbound": {"average": 100, "peak": None, "burst": 3}}]


@pytest.mark.parametrize(
    "drift",
    [
        "tc qdisc replace dev macvtap0 root noqueue",
        "tc qdisc del dev macvtap0 root",
        "tc qdisc del dev macvtap0 clsact",
        "tc filter del dev macvtap0 ingress",
        "ip link del $(basename /sys/class/net/mvtp*)",
        "ip link set $(basename /sys/class/net/mvtp*) down",
        "tc qdisc del dev $(basename /sys/class/net/mvtp*) root",
        "tc qdisc change dev macvtap0 root handle 6d76: tbf rate 1mbit burst 10kb limit 100kb",
    ],
)
def test_drift_is_repaired(host, drift):
    host.attach(attachments=[nic(bandwidth=LIMIT)])
    host.run(["sh", "-c", drift])
    assert limits(host) != [APPLIES]
    predicted = host.attach(attachments=[nic(bandwidth=LIMIT)], check=True)["actions"]
    assert host.attach(attachments=[nic(bandwidth=LIMIT)])["actions"] == predicted != []
    assert limits(host) == [APPLIES]
    assert not host.attach(attachments=[nic(bandwidth=LIMIT)])["changed"]


def test_a_qdisc_and_filters_of_others_stay(host):
    host.attach(attachments=[nic()])
    host.run(
        ["tc", "qdisc", "add", "dev", "macvtap0", "root", "handle", "1:", "tbf"]
        + "rate 1mbit burst 10kb limit 100kb".split()
    )
    assert limits(host) == [None] and not host.attach(attachments=[nic()])["changed"]
    host.run(["tc", "qdisc", "add", "dev", "macvtap0", "clsact"])
    host.run("tc filter add dev macvtap0 ingress prio 1 u32 match u32 0 0 flowid 1:1".split())
    inbound = {"inbound": {"average": 512}}
    host.converges(ATTACH, attachments=[nic(bandwidth=inbound)])
    host.converges(ATTACH, attachments=[nic()])
    qdiscs, filters, _links = shaping(host)
    assert "tbf 1: dev macvtap0" in qdiscs and "flowid 1:1" in filters and "mirred" not in filters


def test_a_link_that_is_created_again_is_limited_again(host):
    host.attach(attachments=[nic(bandwidth=LIMIT)])
    host.converges(ATTACH, attachments=[{**nic(bandwidth=LIMIT), "mode": "passthrough"}])
    assert limits(host) == [APPLIES]


def test_what_was_set_by_hand_stays_in_place_and_is_named_when_a_new_link_would_not_have_it(host):
    host.attach(attachments=[nic(bandwidth=LIMIT)])
    host.run("ip link set macvtap0 txqueuelen 700".split())
    assert not host.attach(attachments=[nic(bandwidth=LIMIT)])["changed"]
    host.attach(attachments=[nic()])
    host.run("tc qdisc add dev macvtap0 root handle 1: htb".split())
    assert not host.attach(attachments=[nic()])["changed"]
    result = host.converges(ATTACH, attachments=[{**nic(), "mode": "passthrough"}])
    assert result["actions"][0] == (
        "delete macvtap0 of guest web nic 0 to create it again: mode bridge -> passthrough; what was set by hand is"
        " lost: qdisc htb, txqueuelen 700"
    )


PROBE = """
import runpy, sys
runpy.run_path(sys.argv[1])
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link import tc
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system.rtnetlink import Netlink
with Netlink() as netlink:
    for probes in (tc.probes(), tc.probes("nosuch", "nosuch", "nosuch")):
        print([netlink.exchange([probe[:2]], 0x600)[0].errno == probe[2] for probe in probes.values()])
"""


def test_what_a_kernel_lacks_is_told_by_requests_that_change_nothing(host):
    before = host.snapshot()
    done = host.run([sys.executable, "-c", PROBE, str(METER.parents[2] / "unit/conftest.py")])
    assert done.stdout.splitlines() == ["[False, False, False]", "[True, True, True]"]
    assert host.snapshot() == before


def test_a_failed_run_leaves_no_limit(host):
    host.attach(attachments=[nic()])
    untouched = shaping(host)
    taken = {**nic(guest="db", bandwidth=LIMIT), "mtu": 70000}
    host.refusal(ATTACH, attachments=[nic(bandwidth=LIMIT), taken])
    assert shaping(host) == untouched


@pytest.mark.parametrize(
    ("bandwidth", "said"),
    [
        ({"inbound": {"average": 0}}, "bandwidth: inbound average 0 is not possible; it must be 1 to 4294967295"),
        ({"outbound": {"average": 9, "peak": 8}}, "bandwidth: outbound peak 8 is less than average 9"),
        ({"outbound": {"average": 1, "burst": 257}}, "burst 257 is more than 256 seconds of average 1; lower it"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_by_name(host, bandwidth, said):
    assert said in host.refusal(ATTACH, attachments=[nic(bandwidth=bandwidth)])


def test_a_nic_has_the_limit_of_its_port_group_or_network_unless_it_asks_for_another(host):
    gold = {"name": "gold", "bandwidth": {"outbound": {"average": 1000}}}
    network = host.converges(NETWORK, name="lan", mode="bridge", devices=["eth0"], bandwidth=LIMIT, portgroups=[gold])[
        "network"
    ]
    for options, rate in (({}, 256), ({"portgroup": "gold"}, 1000), ({"bandwidth": {"outbound": {"average": 7}}}, 7)):
        row = host.converges(ATTACH, guest="web", attachments=[{"network": "lan", **options}])["attachments"][0]
        assert row["bandwidth"]["outbound"]["average"] == rate
    rows = host.attach(guest="web", attachments=[{"network": "lan", "bandwidth": {}}])["attachments"]
    assert rows[0]["bandwidth"] is None
    assert not host.network(xml=network["xml"])["changed"]


@pytest.mark.parametrize("direction", ["inbound", "outbound"])
def test_frames_pass_at_the_rate(host, direction):
    rate = 2048
    limit = {direction: {"average": rate}}
    sender, receiver = (limit, None) if direction == "outbound" else (None, limit)
    rows = host.attach(
        attachments=[nic(guest="web", bandwidth=sender), nic(guest="db", bandwidth=receiver)],
    )["attachments"]
    paths = [row["tap_path"] for row in rows]
    command = [sys.executable, "-I", str(METER), *paths, rows[1]["mac"], str(rate * 1024 * 2), "2"]
    measured = float(host.run(command).stdout) / 1024
    # wide, since the machine may be busy; the benchmark says more
    assert 0.85 * rate < measured < 1.1 * rate
