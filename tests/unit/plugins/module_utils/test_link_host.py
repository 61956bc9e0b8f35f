# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is on the host, as the planner asks for it."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Link
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.scene import (
    ETH0,
    ETH1,
    host,
    macvtap,
    nic_of_host,
)


def test_a_marked_macvtap_is_found_by_guest_and_nic():
    link = macvtap(10, "macvtap0", "web", 1)
    assert host(link).owned["web", 1].link == link


def test_a_mark_on_another_kind_of_link_is_none():
    assert not host(macvtap(10, "macvlan0", "web", kind="macvlan")).owned


def test_macvtaps_and_macvlans_count_on_their_lower_device():
    links = [macvtap(10, "a"), macvtap(11, "b", kind="macvlan"), macvtap(12, "c", lower=ETH1)]
    assert host(*links).on_device(ETH0) == links[:2]


def test_a_macvtap_whose_lower_device_is_in_another_namespace_counts_nowhere():
    link = macvtap(10, "a", lower_netnsid=0)
    there = host(link)
    assert there.on_device(ETH0) == []
    assert there.device_name(link) == "#2"


def test_two_links_with_one_mark_are_both_marked():
    there = host(macvtap(10, "a", "web"), macvtap(11, "b", "web"))
    assert sorted(owned.link.name for owned in there.tagged()) == ["a", "b"]


def test_a_link_is_described_by_its_owner():
    there = host(macvtap(10, "a", "web", 2), macvtap(11, "b"))
    assert there.describe(there.links[10]) == "a (guest web nic 2)"
    assert there.describe(there.links[11]) == "b (macvtap, no owner tag)"


def test_an_ethernet_device_is_a_lower_device():
    assert host().lower_device("eth0", "somebody").ifindex == ETH0


def test_a_bridge_is_a_lower_device():
    assert host(nic_of_host(20, "br0", kind="bridge")).lower_device("br0", "somebody").ifindex == 20


def test_a_device_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(InvalidInput, match=r"network 'n'.*'eth9'.*eth0, eth1, eth2"):
        host().lower_device("eth9", "network 'n'")


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (macvtap(20, "x"), "eth0"),
        (macvtap(20, "x", kind="macvlan"), "eth0"),
        (nic_of_host(20, "x", kind="tun"), "tun/tap"),
        (nic_of_host(20, "x", hardware=32), "32"),
        (nic_of_host(20, "x", master=21), "port of bridge br0.*use br0"),
        (Link(20, "x", "vrf", hardware=1), "VRF.*name one of its ports"),
        (nic_of_host(20, "x", kind="ipvlan", lower=2), "itself an ipvlan"),
    ],
)
def test_a_device_that_cannot_carry_macvtaps_is_refused_with_the_reason(link, words):
    there = host(link, nic_of_host(21, "br0", kind="bridge"))
    with pytest.raises(InvalidInput, match=r"somebody.*'x'.*" + words):
        there.lower_device("x", "somebody")


def test_loopback_is_refused():
    with pytest.raises(InvalidInput, match="loopback"):
        host().lower_device("lo", "somebody")


@pytest.mark.parametrize("kind", ["bond", "team", "openvswitch"])
def test_a_slave_is_refused_with_the_name_of_its_master(kind):
    there = host(nic_of_host(20, "x", master=21), nic_of_host(21, "master0", kind=kind))
    with pytest.raises(InvalidInput, match="master0"):
        there.lower_device("x", "somebody")


@pytest.mark.parametrize("kind", ["ipvlan", "ipvtap"])
def test_a_device_that_carries_ipvlans_is_refused(kind):
    there = host(nic_of_host(20, "x", kind=kind, lower=ETH0))
    with pytest.raises(InvalidInput, match=f"'eth0' carries the {kind} x, .* delete x first"):
        there.lower_device("eth0", "somebody")
    elsewhere = host(nic_of_host(20, "x", kind=kind, lower=ETH0, lower_netnsid=1))
    assert elsewhere.lower_device("eth0", "somebody").ifindex == ETH0


def test_a_port_of_a_vrf_is_no_obstacle():
    there = host(nic_of_host(20, "x", master=21), Link(21, "vrf0", "vrf"))
    assert there.lower_device("x", "somebody").ifindex == 20


def test_passthrough_is_refused_beside_anybody():
    there = host(macvtap(10, "a", "web"))
    with pytest.raises(Refused, match=r"guest db.*eth0.*a \(guest web nic 0\)"):
        there.require_alone(there.links[ETH0], "passthrough", set(), "guest db")


def test_nobody_joins_passthrough():
    there = host(macvtap(10, "a", "web", mode="passthrough"))
    with pytest.raises(Refused, match="excludes all others"):
        there.require_alone(there.links[ETH0], "vepa", set(), "guest db")


def test_other_modes_share_a_device():
    there = host(macvtap(10, "a", "web"))
    there.require_alone(there.links[ETH0], "bridge", set(), "guest db")


def test_links_that_go_do_not_count():
    there = host(macvtap(10, "a", "web"))
    there.require_alone(there.links[ETH0], "passthrough", {10}, "guest db")


PERMANENT = "52:54:00:aa:bb:cc"


def test_a_device_is_found_by_each_of_its_names_and_by_its_permanent_mac():
    there = host(nic_of_host(20, "eno1", altnames=("enp1s0", "enx525400aabbcc"), permanent_mac=PERMANENT))
    for given in ("eno1", "enp1s0", "enx525400aabbcc", "mac:52:54:0:AA:bb:CC"):
        assert there.lower_device(given, "somebody").ifindex == 20
        assert there.current_name(given) == "eno1"


def test_the_permanent_mac_is_not_the_one_that_a_guest_in_mode_passthrough_lends():
    lent = nic_of_host(20, "eno1", mac="02:00:00:00:00:01", permanent_mac=PERMANENT)
    there = host(lent, macvtap(21, "a", lower=20, mac="02:00:00:00:00:01", permanent_mac=PERMANENT))
    assert there.device(f"mac:{PERMANENT}") == lent
    assert there.device("mac:02:00:00:00:00:01") is None


def test_a_vlan_device_does_not_count_although_it_takes_over_the_permanent_mac():
    there = host(
        nic_of_host(20, "eno1", permanent_mac=PERMANENT),
        nic_of_host(21, "eno1.4", kind="vlan", permanent_mac=PERMANENT),
    )
    assert there.current_name(f"mac:{PERMANENT}") == "eno1"


def test_a_permanent_mac_of_two_devices_is_refused_with_their_names():
    there = host(*(nic_of_host(20 + number, f"eno{number}", permanent_mac=PERMANENT) for number in (0, 1)))
    with pytest.raises(InvalidInput, match=f"mac:{PERMANENT} is the permanent MAC of eno0 and eno1"):
        there.lower_device(f"mac:{PERMANENT}", "somebody")


def test_a_permanent_mac_of_no_device_is_refused_with_those_that_are():
    there = host(nic_of_host(20, "eno1", permanent_mac=PERMANENT))
    with pytest.raises(InvalidInput, match=rf"'mac:52:54:00:00:00:99'.*: eno1 \(mac:{PERMANENT}\)"):
        there.lower_device("mac:52:54:00:00:00:99", "somebody")
