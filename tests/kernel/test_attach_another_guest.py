# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tap that a process holds open never becomes another guest's: every way in which it could, tried."""

import json

import pytest
from module_host import ATTACH, ModuleFailed

MAC = "02:00:00:00:00:42"
WEB = {"guest": "web", "device": "eth0", "ifname": "web0", "mac": MAC}
#: the same NIC under another guest's name
DB = {**WEB, "guest": "db"}
#: the link group of links in the making (_model.MAKING_GROUP)
MAKING_GROUP = 0x6D767470


@pytest.fixture
def web(host):
    """The attachment of guest web, which runs: its tap is held open."""
    row = host.attach(attachments=[WEB])["attachments"][0]
    host.held = host.hold(row["tap_path"])
    return row


def holder(host, row):
    """``pid N (command)`` of the one who holds the tap of an attachment, as macvtap_info tells it."""
    rows = host.module("macvtap_info", all=True)["attachments"]
    (found,) = [each["holders"] for each in rows if each["ifindex"] == row["ifindex"]]
    return "pid %(pid)d (%(command)s)" % found[0]


def refused(host, row, **options):
    """The refusal of a task, which changed nothing and names holder, tap and a way out."""
    sentence = host.refusal(ATTACH, **options)
    assert holder(host, row) in sentence and row["tap_path"] in sentence, sentence
    return sentence


@pytest.mark.parametrize(
    "wish",
    [
        {"ifname": "web0"},
        {"mac": MAC},
        {"ifname": "web0", "mac": MAC},
        {"ifname": "web0", "mac": MAC, "mode": "bridge"},
        {"ifname": "web0", "mac": MAC, "nic": 0, "queues": 2},
    ],
    ids=str,
)
def test_a_guest_renamed_in_the_list_does_not_get_the_tap_of_the_old_name(host, web, wish):
    sentence = refused(host, web, attachments=[{"guest": "db", "device": "eth0", **wish}])
    assert "choose another" in sentence
    # force is no way to another guest's link: its mark says whose it is
    with pytest.raises(ModuleFailed, match="choose another"):
        host.attach(attachments=[{"guest": "db", "device": "eth0", **wish}], force=True)
    assert host.link("web0")["ifalias"].startswith("linuxnet.macvtap guest=web nic=0")


def test_another_nic_of_the_same_guest_does_not_get_it_either(host, web):
    refused(host, web, attachments=[{**WEB, "nic": 1}])


def test_purging_the_old_name_in_the_same_task_does_not_free_it(host, web):
    sentence = host.refusal(ATTACH, guest="web", attachments=[DB], purge=True)
    assert "nothing was removed: web0 is held open by " + holder(host, web) in sentence


def test_a_link_whose_mark_was_wiped_goes_to_no_other_guest_of_the_same_name_and_mac(host, web):
    host.ip("link set web0 alias ''")
    sentence = refused(host, web, attachments=[DB])
    assert "web0 would be assigned to guest db nic 0" in sentence and "force=true" in sentence
    # and comes back to its own, which its index tells
    row = host.converges(ATTACH, attachments=[WEB])["attachments"][0]
    assert (row["tap_path"], row["guest"]) == (web["tap_path"], "web")


def test_force_gives_it_and_so_does_letting_go(host, web):
    host.ip("link set web0 alias ''")
    assert host.attach(attachments=[DB], force=True)["attachments"][0]["tap_path"] == web["tap_path"]
    host.ip("link set web0 alias ''")
    host.held.close()
    assert host.converges(ATTACH, attachments=[DB])["attachments"][0]["tap_path"] == web["tap_path"]


def test_a_link_of_another_tool_with_the_wanted_name_and_mac(host):
    host.ip(f"link add link eth0 name web0 address {MAC} type macvtap", "link set web0 up")
    row = made_by_hand(host, "web0")
    assert "another guest" in refused(host, row, attachments=[WEB])


def made_by_hand(host, name):
    """A link that no module made, held open by a process, as far as an attachment's row goes."""
    index = host.link(name)["ifindex"]
    row = {"ifname": name, "ifindex": index, "tap_path": f"/dev/tap{index}"}
    host.run(["mknod", row["tap_path"], "c", *host.number_in_sysfs(row).split(":")])
    host.hold(row["tap_path"])
    return row


@pytest.mark.parametrize("stable", [True, False])
def test_a_link_in_the_making_that_somebody_opened_already(host, stable):
    lost = host.attach(attachments=[WEB])["attachments"][0]
    host.detach(guest="web")
    where = f"index {lost['ifindex']} " if stable else ""
    host.ip(f"link add link eth0 name macvtap7 {where}address {MAC} group {MAKING_GROUP} type macvtap")
    row = made_by_hand(host, "macvtap7")
    refused(host, row, attachments=[{**WEB, "ifname": None}], stable_index=stable)


def test_a_passthrough_link_in_the_making_that_somebody_opened_already(host):
    host.ip(f"link add link eth1 name macvtap7 group {MAKING_GROUP} type macvtap mode passthru")
    row = made_by_hand(host, "macvtap7")
    wanted = [{"guest": "web", "device": "eth1", "mode": "passthrough"}]
    refused(host, row, attachments=wanted, stable_index=False)
    host.ip("link delete macvtap7")


def test_two_links_with_one_mark(host):
    row = host.attach(attachments=[WEB], stable_index=False)["attachments"][0]
    mark = host.link("web0")["ifalias"]
    host.ip("link add link eth0 name thief0 type macvtap", f'link set thief0 alias "{mark}"')
    sentence = host.refusal(ATTACH, attachments=[WEB])
    assert "web0 and thief0 carry its owner tag" in sentence or "thief0 and web0 carry its owner tag" in sentence
    host.ip("link set thief0 alias ''")
    assert host.attach(attachments=[WEB])["attachments"][0]["tap_path"] == row["tap_path"]


def test_of_two_links_with_one_mark_the_derived_index_is_the_guests(host, web):
    mark = host.link("web0")["ifalias"]
    host.ip("link add link eth1 name thief0 index 77 type macvtap", f'link set thief0 alias "{mark}"')
    again = host.attach(attachments=[WEB])
    assert (again["changed"], again["attachments"][0]["tap_path"]) == (False, web["tap_path"])


@pytest.mark.parametrize("mode", ["vepa", "passthrough"])
def test_a_pool_gives_a_newcomer_no_device_link_or_tap_of_a_running_guest(host, mode):
    host.network(name="pool", mode=mode, devices=["eth0", "eth1"])
    rows = host.attach(attachments=[{"guest": guest, "network": "pool"} for guest in ("a", "b")])["attachments"]
    for row in rows:
        host.hold(row["tap_path"])
    if mode == "passthrough":
        sentence = host.refusal(ATTACH, attachments=[{"guest": "c", "network": "pool"}])
        assert "taken" in sentence and "guest a nic 0" in sentence
        # also when the list puts the newcomer in the place of one that runs
        sentence = host.refusal(ATTACH, guest="a", attachments=[{"guest": "c", "network": "pool"}], purge=True)
        assert "held open by pid " in sentence
    else:
        new = host.attach(attachments=[{"guest": "c", "network": "pool"}])["attachments"][0]
        assert new["tap_path"] not in [row["tap_path"] for row in rows]
    assert not host.attach(attachments=[{"guest": guest, "network": "pool"} for guest in ("a", "b")])["changed"]


def test_info_reports_two_processes_on_one_tap(host, web):
    host.hold(web["tap_path"])
    (row,) = host.module("macvtap_info")["attachments"]
    pids = {each["pid"] for each in row["holders"]}
    (problem,) = row["problems"]
    assert len(pids) == 2 and problem.startswith("held open by 2 processes")
    assert all(f"pid {pid} " in problem for pid in pids)


def test_a_guest_that_runs_keeps_its_tap_through_every_run_that_is_not_its_own(host, web):
    before = json.loads(host.run(["ip", "-json", "-details", "link", "show", "web0"]).stdout)
    for number in range(5):
        host.attach(attachments=[{"guest": f"g{number}", "device": "eth0"}])
    host.attach(state="absent", guest="g3")
    assert json.loads(host.run(["ip", "-json", "-details", "link", "show", "web0"]).stdout) == before
