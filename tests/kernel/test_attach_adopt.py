# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links without our mark: adopted when they are what a killed run left or a wiped alias, else never touched."""

import pytest
from module_host import ATTACH, second_namespace

WEB = {"guest": "web", "device": "eth0"}


@pytest.fixture
def lost(host):
    """What guest web's attachment was before it was removed: its ifindex and MAC are those it would get again."""
    row = host.attach(attachments=[WEB])["attachments"][0]
    host.detach(guest="web")
    return row


def make(host, name, row, device="eth0", kind="macvtap", index=True, mac=None):
    where = f"index {row['ifindex']} " if index else ""
    host.ip(f"link add link {device} name {name} {where}address {mac or row['mac']} type {kind}")


def test_the_derived_index_with_the_derived_mac_is_adopted(host, lost):
    make(host, "foo", lost)
    row = host.converges(ATTACH, attachments=[WEB])["attachments"][0]
    assert (row["ifname"], row["ifindex"]) == ("foo", lost["ifindex"])


def test_the_wanted_name_with_the_wanted_mac_is_adopted(host, lost):
    make(host, "foo", lost, index=False, mac="02:00:00:00:00:42")
    wanted = {**WEB, "ifname": "foo", "mac": "02:00:00:00:00:42"}
    assert host.converges(ATTACH, attachments=[wanted])["attachments"][0]["ifindex"] == host.link("foo")["ifindex"]


def test_the_derived_index_with_another_mac_is_not_adopted(host, lost):
    make(host, "foo", lost, mac="02:00:00:00:00:42")
    row = host.converges(ATTACH, attachments=[WEB])["attachments"][0]
    assert row["ifname"] != "foo" and row["ifindex"] != lost["ifindex"]
    assert host.link("foo")["address"] == "02:00:00:00:00:42"


def test_the_derived_index_on_another_device_is_not_adopted(host, lost):
    make(host, "foo", lost, device="eth1")
    assert host.converges(ATTACH, attachments=[WEB])["attachments"][0]["ifname"] != "foo"
    assert "ifalias" not in host.link("foo")


def test_a_macvlan_is_never_adopted(host, lost):
    make(host, "foo", lost, kind="macvlan", mac="02:00:00:00:00:42")
    assert host.converges(ATTACH, attachments=[WEB])["attachments"][0]["ifname"] != "foo"
    assert host.link("foo")["linkinfo"]["info_kind"] == "macvlan"


def test_the_wanted_name_with_another_mac_is_refused(host, lost):
    make(host, "foo", lost, index=False, mac="02:00:00:00:00:42")
    assert "foo" in host.refusal(ATTACH, attachments=[{**WEB, "ifname": "foo"}])


@pytest.mark.parametrize("kind", ["macvtap", "macvlan"])
def test_a_wanted_mac_that_another_link_on_the_device_has_is_refused_naming_it(host, lost, kind):
    make(host, "foo", lost, kind=kind, index=False, mac="02:00:00:00:00:42")
    sentence = host.refusal(ATTACH, attachments=[{**WEB, "mac": "02:00:00:00:00:42"}])
    assert "foo" in sentence and "02:00:00:00:00:42" in sentence


def test_a_wanted_mac_that_another_guest_has_is_refused_naming_it(host):
    host.attach(attachments=[{"guest": "db", "device": "eth0", "mac": "02:00:00:00:00:42"}])
    sentence = host.refusal(ATTACH, attachments=[{**WEB, "mac": "02:00:00:00:00:42"}])
    assert "guest db nic 0" in sentence


def test_the_mac_of_the_lower_device_is_refused(host):
    mac = host.link("eth0")["address"]
    assert mac in host.refusal(ATTACH, attachments=[{**WEB, "mac": mac}])


def test_the_same_mac_twice_in_a_task_is_refused(host):
    wanted = [{**WEB, "mac": "02:00:00:00:00:0a"}, {"guest": "db", "device": "eth0", "mac": "2:0:0:0:0:A"}]
    sentence = host.refusal(ATTACH, attachments=wanted)
    assert "guest web nic 0" in sentence and "guest db nic 0" in sentence


def test_a_derived_mac_that_is_taken_is_derived_anew(host, lost):
    make(host, "foo", lost, index=False)
    row = host.converges(ATTACH, attachments=[WEB])["attachments"][0]
    assert row["mac"] != lost["mac"] and row["mac"].startswith("02:")


def test_a_macvtap_whose_lower_device_is_in_another_namespace_is_not_mistaken_for_ours(host, lost):
    with second_namespace(host) as second:
        # there the lower device has the ifindex that our eth0 has here; process 1 is one of ours
        twin = f"index {host.link('eth0')['ifindex']}"
        script = f"""ip link delete eth0; ip link add name far0 {twin} type veth peer name far1 && ip link set far0 up
            ip link add link far0 name foo index {lost["ifindex"]} address {lost["mac"]} type macvtap
            ip link set foo netns 1"""
        second.run(["sh", "-c", script])
        row = host.converges(ATTACH, attachments=[WEB])["attachments"][0]
        assert row["ifname"] != "foo" and "ifalias" not in host.link("foo")
