# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each NIC asks for on its own: converged, reported, repaired, and given back when it is left out again."""

import json

import pytest
from module_host import ATTACH

WEB = {"guest": "web", "device": "eth0", "ifname": "web0"}
DB = {"guest": "db", "device": "eth0", "ifname": "db0"}
#: option, a value, what that is in a result, and what somebody does to it
EACH = [
    ("link_state", "down", {"link_state": "down"}, "ip link set web0 up"),
    ("isolate_host", False, {"isolate_host": False}, "ip link set web0 arp off"),
    ("device_owner", "nobody", {"tap_owner": "nobody"}, "chown 4711 /dev/tap*"),
    ("device_group", "daemon", {"tap_group": "daemon"}, "chgrp 4711 /dev/tap*"),
    ("device_mode", "0640", {"tap_mode": "0640"}, "chmod 666 /dev/tap*"),
    ("broadcast_queue", 5000, {"broadcast_queue": 5000}, "ip link set web0 type macvtap bcqueuelen 7"),
]
each_option = pytest.mark.parametrize(("option", "value", "shown", "drift"), EACH, ids=[each[0] for each in EACH])


def broadcast_queue(host, name):
    """(what the link asks for, how long the queue of its lower device is)"""
    data = host.link(name)["linkinfo"]["info_data"]
    return data["bcqueuelen"], data["usedbcqueuelen"]


def require_reported(host, row):
    """macvtap_info has the attachment as macvtap_attach returned it."""
    (found,) = host.module("macvtap_info")["attachments"]
    assert {key: found[key] for key in row} == row


@each_option
def test_it_is_set_at_creation_reported_and_repaired(host, option, value, shown, drift):
    wanted = {**WEB, option: value}
    row = host.converges(ATTACH, attachments=[wanted])["attachments"][0]
    assert {key: row[key] for key in shown} == shown
    require_reported(host, row)
    host.run(["sh", "-c", drift])
    (action,) = host.converges(ATTACH, attachments=[wanted])["actions"]
    # names of users and groups are numbers there, and isolate_host is what the kernel has of it
    assert option.startswith(("device_", "isolate_")) or (f"{option} " in action and f"-> {value}" in action)
    require_reported(host, row)


@each_option
def test_it_is_set_on_a_live_link(host, option, value, shown, drift):
    before = host.attach(attachments=[WEB])["attachments"][0]
    host.hold(before["tap_path"])
    after = host.converges(ATTACH, attachments=[{**WEB, option: value}])["attachments"][0]
    # whose tag says more is in test_attach_requested.py
    assert {key for key in before if before[key] != after[key]} - {"requested"} == set(shown)


@each_option
def test_it_is_of_that_nic_only_and_the_rest_have_the_tasks(host, option, value, shown, drift):
    task = {"link_state": "down", "isolate_host": False, "device_owner": "4711", "device_group": "4712"}
    task["device_mode"] = "0606"
    own = {"link_state": "up", "isolate_host": True}.get(option, value)
    web, db = host.converges(ATTACH, attachments=[{**WEB, option: own}, DB], **task)["attachments"]
    keys = ("link_state", "isolate_host", "tap_owner", "tap_group", "tap_mode", "broadcast_queue")
    assert [db[key] for key in keys] == [*task.values(), 1000]
    assert {key for key in keys if web[key] != db[key]} == set(shown)
    assert [web[key] for key in shown] == [own]


def test_a_queue_that_is_not_asked_for_any_more_is_as_the_kernel_has_it(host):
    host.attach(attachments=[{**WEB, "broadcast_queue": 5000}])
    (action,) = host.converges(ATTACH, attachments=[WEB])["actions"]
    assert "broadcast_queue 5000 -> 1000" in action


def test_the_longest_queue_asked_for_on_a_lower_device_counts(host):
    host.attach(attachments=[WEB, {**DB, "broadcast_queue": 5000}])
    assert [broadcast_queue(host, name) for name in ("web0", "db0")] == [(1000, 5000), (5000, 5000)]
    host.attach(attachments=[WEB, DB])
    assert [broadcast_queue(host, name) for name in ("web0", "db0")] == [(1000, 1000), (1000, 1000)]


def test_a_link_that_is_created_again_keeps_what_its_nic_asks_for(host):
    asked = {"link_state": "down", "isolate_host": False, "broadcast_queue": 4294967295, "device_owner": "nobody"}
    before = host.attach(attachments=[{**WEB, **asked}])["attachments"][0]
    after = host.converges(ATTACH, attachments=[{**WEB, **asked, "device": "eth1"}])["attachments"][0]
    assert {key for key in before if before[key] != after[key]} - {"tap_minor"} == {"device"}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"device_owner": "nobody-has-this-name"}, "attachments[1] (guest db): device_owner: there is no user"),
        ({"device_group": "nobody-has-this-name"}, "attachments[1] (guest db): device_group: there is no group"),
        ({"device_mode": "660"}, "attachments[1] (guest db): device_mode '660' is not an octal mode"),
        ({"broadcast_queue": 0}, "attachments[1]: broadcast_queue 0 is not possible; it must be 1 to 4294967295"),
        ({"broadcast_queue": 1 << 32}, "attachments[1]: broadcast_queue 4294967296 is not possible"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_nic(host, asked, words):
    assert words in host.refusal(ATTACH, attachments=[WEB, {**DB, **asked}])


def test_a_guest_whose_user_is_gone_can_be_removed(host):
    host.attach(attachments=[{**WEB, "device_owner": "nobody"}])
    gone = host.detach(attachments=[{**WEB, "device_owner": "nobody-has-this-name"}])
    assert [row["ifname"] for row in gone["attachments"]] == ["web0"]


def test_the_role_takes_all_of_them(host, ansible, tmp_path):
    variables = {
        "vepa_network_name": "vepanet",
        "vepa_network_devices": ["eth0"],
        "vepa_network_device_mode": "0600",
        "vepa_network_guests": [{"name": "web", "nics": [{option: value for option, value, _shown, _drift in EACH}]}],
    }
    play = [{"hosts": "all", "gather_facts": False, "roles": ["linuxnet.macvtap.vepa_network"], "vars": variables}]
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps(play), encoding="utf-8")
    for changed in (True, False):
        status, output = ansible("ansible-playbook", str(playbook))
        assert (status, bool(ansible.changed())) == (0, changed), output
    (row,) = host.module("macvtap_info")["attachments"]
    for _option, _value, shown, _drift in EACH:
        assert {key: row[key] for key in shown} == shown
