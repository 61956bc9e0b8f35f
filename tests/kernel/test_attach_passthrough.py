# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mode passthrough: one guest has the whole lower device, its MAC included, and gives it back."""

import pytest
from module_host import ATTACH

GUEST = {"guest": "web", "device": "eth0", "mode": "passthrough"}


@pytest.fixture
def own(host):
    """The MACs that the uplinks have of their own."""
    return {uplink: host.link(uplink)["address"] for uplink in ("eth0", "eth1")}


def test_the_lower_device_carries_the_mac_of_the_guest_and_gets_its_own_back(host, own):
    row = host.converges(ATTACH, attachments=[GUEST])["attachments"][0]
    assert host.link("eth0")["address"] == row["mac"] != own["eth0"]
    host.converges(ATTACH, state="absent", guest="web")
    assert host.link("eth0")["address"] == own["eth0"]
    assert host.link("eth0")["promiscuity"] == 0


def test_a_mac_that_is_asked_for_is_set_and_changed_in_place(host, own):
    for mac in ("02:00:00:00:00:55", "02:00:00:00:00:56"):
        host.converges(ATTACH, attachments=[{**GUEST, "mac": mac}])
        assert host.link("eth0")["address"] == mac
    host.detach(guest="web")
    assert host.link("eth0")["address"] == own["eth0"]


def test_the_guest_may_have_the_very_mac_of_the_device(host, own):
    host.converges(ATTACH, attachments=[{**GUEST, "mac": own["eth0"]}])
    host.detach(guest="web")
    assert host.link("eth0")["address"] == own["eth0"]


@pytest.mark.parametrize("mode", ["vepa", "bridge", "private"])
def test_to_and_from_passthrough_the_link_is_made_again(host, own, mode):
    host.attach(attachments=[{**GUEST, "mode": mode}])
    there = host.converges(ATTACH, attachments=[GUEST])
    assert [action.split()[0] for action in there["actions"]] == ["delete", "recreate"]
    back = host.converges(ATTACH, attachments=[{**GUEST, "mode": mode}])
    assert back["attachments"][0]["tap_path"] == there["attachments"][0]["tap_path"]
    assert host.link("eth0")["address"] == own["eth0"]


@pytest.mark.parametrize("kind", ["macvtap", "macvlan"])
def test_passthrough_beside_something_else_is_refused_naming_it(host, own, kind):
    host.ip(f"link add link eth0 name other0 type {kind}")
    assert "other0" in host.refusal(ATTACH, attachments=[GUEST])


def test_nothing_else_comes_onto_a_device_in_passthrough(host, own):
    host.attach(attachments=[GUEST])
    sentence = host.refusal(ATTACH, attachments=[{"guest": "db", "device": "eth0"}])
    assert "guest web nic 0" in sentence and "passthrough" in sentence


def test_two_guests_of_one_task_cannot_share_a_device_in_passthrough(host, own):
    assert "eth0" in host.refusal(ATTACH, attachments=[GUEST, {"guest": "db", "device": "eth0"}])


def test_a_guest_may_leave_for_another_that_comes_in_the_same_task(host, own):
    host.attach(attachments=[GUEST])
    host.converges(ATTACH, attachments=[{**GUEST, "guest": "db"}, {"guest": "web", "device": "eth1"}])
    assert host.link("eth1")["address"] == own["eth1"]


def test_each_guest_gets_a_device_of_its_own_until_none_is_left(host, own):
    host.network(name="direct", mode="passthrough", devices=["eth0", "eth1"])
    wanted = [{"guest": guest, "network": "direct"} for guest in ("a", "b", "c")]
    rows = host.converges(ATTACH, attachments=wanted[:2])["attachments"]
    assert [row["device"] for row in rows] == ["eth0", "eth1"]
    sentence = host.refusal(ATTACH, attachments=wanted)
    assert "all 2 devices" in sentence and "guest a nic 0" in sentence and "guest b nic 0" in sentence


def test_a_pool_passes_over_a_device_that_something_else_is_on(host, own):
    host.network(name="direct", mode="passthrough", devices=["eth0", "eth1"])
    host.ip("link add link eth0 name other0 type macvlan")
    assert host.attach(attachments=[{"guest": "a", "network": "direct"}])["attachments"][0]["device"] == "eth1"


def test_a_wiped_alias_is_put_back(host, own):
    host.attach(attachments=[GUEST])
    host.ip("link set macvtap0 alias ''")
    assert len(host.converges(ATTACH, attachments=[GUEST])["actions"]) == 1


def test_a_mac_changed_below_is_repaired(host, own):
    row = host.attach(attachments=[GUEST])["attachments"][0]
    host.ip("link set eth0 address 02:00:00:00:00:88")
    host.converges(ATTACH, attachments=[GUEST])
    assert host.link("eth0")["address"] == row["mac"]


def test_promiscuity_of_the_device_is_balanced_whatever_the_order(host, own):
    before = host.link("eth0")["promiscuity"]
    for more, state in (({"promiscuous": True}, "up"), ({"promiscuous": True}, "down"), ({}, "down"), ({}, "up")):
        host.converges(ATTACH, attachments=[{**GUEST, **more}], link_state=state)
    host.detach(guest="web")
    assert host.link("eth0")["promiscuity"] == before


def test_what_only_a_virtual_function_has_is_refused_elsewhere_before_anything_is_changed(host):
    before = host.links()
    for mode in ("passthrough", "vepa"):
        nic = {"guest": "web", "device": "eth0", "mode": mode, "vf": {"vlan": 20}}
        said = host.refusal(ATTACH, attachments=[nic])
        assert f"guest web nic 0 (attachments[0]): vf is not possible on eth0 in mode {mode}: it is for mode" in said
    for value, words in (({"vlan": 4095}, "vf vlan 4095 is not possible"), ({"vlans": 1}, "vlans")):
        assert words in host.refusal(ATTACH, attachments=[{"guest": "web", "device": "eth0", "vf": value}])
    assert host.links() == before
    # nothing asked for
    nic = {"guest": "web", "device": "eth0", "mode": "passthrough", "vf": {}}
    (row,) = host.converges(ATTACH, attachments=[nic])["attachments"]
    assert (row["vf"], row["vf_before"]) == (None, None)
