# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which links a removal means."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Nic
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.select import Purge, Selection, select, to_purge
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.scene import ETH1, host, macvtap

OURS = macvtap(10, "macvtap0", "web", 0, "vepanet", mac="02:00:00:00:00:01")
SECOND = macvtap(11, "macvtap1", "web", 1, mac="02:00:00:00:00:02", lower=ETH1)
OTHER = macvtap(12, "macvtap2", "db", 0, "vepanet", mac="02:00:00:00:00:03")
STRANGER = macvtap(13, "macvtap3", mac="02:00:00:00:00:01")
MACVLAN = macvtap(14, "macvlan0", kind="macvlan", mac="02:00:00:00:00:01")
HOST = host(OTHER, OURS, SECOND, STRANGER, MACVLAN)


def names(**selectors):
    return [link.name for link in select(HOST, Selection(**selectors))]


def test_nothing_given_is_empty():
    assert Selection().is_empty()
    assert not Selection(macs=[]).is_empty()


def test_a_guest_means_all_its_links():
    assert names(guest="web") == ["macvtap0", "macvtap1"]


def test_a_network_means_the_links_marked_with_it():
    assert names(network="vepanet") == ["macvtap0", "macvtap2"]


def test_a_mac_means_every_macvtap_with_it_and_no_other_kind_of_link():
    assert names(macs=["02:00:00:00:00:01"]) == ["macvtap0", "macvtap3"]


def test_a_name_means_only_a_link_of_ours():
    assert names(ifnames=["macvtap3", "macvlan0", "eth0"]) == []
    assert names(ifnames=["macvtap0"]) == ["macvtap0"]


def test_a_device_means_the_links_of_ours_on_it():
    assert names(device="eth1") == ["macvtap1"]


def test_several_selectors_narrow_the_choice():
    assert names(guest="web", network="vepanet") == ["macvtap0"]
    assert names(macs=["02:00:00:00:00:01"], guest="web") == ["macvtap0"]


@pytest.mark.parametrize("selector", ["macs", "ifnames", "nics"])
def test_an_empty_list_selects_nothing(selector):
    assert names(**{selector: []}) == []


def test_an_empty_list_beside_another_selector_selects_nothing():
    assert names(guest="web", macs=[]) == []


def test_nics_are_meant_by_guest_and_position():
    assert names(nics=[Nic("web", 1), Nic("db", 5)]) == ["macvtap1"]


def test_of_a_whole_guest_every_link_is_meant():
    assert names(nics=[Nic("db", 0)], whole_guests={"web"}) == ["macvtap0", "macvtap1", "macvtap2"]
    assert names(nics=[], whole_guests={"web"}, network="vepanet") == ["macvtap0"]


def test_nics_without_a_guest_are_meant_by_mac_and_name():
    assert names(nics=[Nic(None, mac="02:00:00:00:00:01")]) == ["macvtap0"]
    assert names(nics=[Nic(None, ifname="macvtap2")]) == ["macvtap2"]
    assert names(nics=[Nic(None, mac="02:00:00:00:00:01", ifname="macvtap2")]) == []


def test_for_a_look_links_of_others_may_be_meant_too():
    chosen = select(HOST, Selection(device="eth0"), foreign=True)
    assert [link.name for link in chosen] == ["macvtap0", "macvtap2", "macvtap3"]


@pytest.mark.parametrize(
    ("purge", "leaving"),
    [
        (Purge(), []),
        (Purge(guests={"web"}), ["macvtap1"]),
        (Purge(guests={"web", "db"}), ["macvtap1", "macvtap2"]),
        (Purge(networks={"vepanet"}), ["macvtap2"]),
        (Purge(guests={"web"}, networks={"vepanet"}), ["macvtap1", "macvtap2"]),
        (Purge(everything=True), ["macvtap1", "macvtap2"]),
    ],
    ids=str,
)
def test_a_purge_means_links_of_ours_that_it_covers_and_that_are_not_asked_for(purge, leaving):
    assert sorted(link.name for link in to_purge(HOST, [Nic("web", 0)], purge)) == leaving
