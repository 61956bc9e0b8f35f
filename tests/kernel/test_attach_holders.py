# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tap that a process holds open is never cut off without force."""

import pytest
from module_host import ATTACH, NETWORK

WANTED = [{"guest": guest, "device": "eth0"} for guest in ("a", "b", "c")]


@pytest.fixture
def rows(host):
    """Three guests, a, b and c; the tap of b is held open."""
    rows = host.attach(attachments=WANTED)["attachments"]
    host.held = host.hold(rows[1]["tap_path"])
    return rows


@pytest.mark.parametrize(
    "options",
    [
        {"state": "absent", "guest": "b"},
        {"state": "absent", "ifname": ["macvtap0", "macvtap1", "macvtap2"]},
        {"guest": "b", "attachments": [], "purge": True},
        {"attachments": [{"guest": "b", "nic": 3, "device": "eth0"}], "purge": True},
        {"attachments": [{"guest": "b", "device": "eth1"}]},
        {"attachments": [{"guest": "a", "device": "eth0"}, {"guest": "b", "device": "eth1"}]},
        {"attachments": [{"guest": "b", "device": "eth1", "mode": "passthrough"}]},
    ],
    ids=str,
)
def test_a_held_tap_is_not_cut_off_and_nothing_else_is_done(host, rows, options):
    sentence = host.refusal(ATTACH, **options)
    assert "macvtap1 is held open by pid " in sentence and "(python" in sentence and "force=true" in sentence


def test_removing_by_mac_is_all_or_nothing(host, rows):
    assert "macvtap1" in host.refusal(ATTACH, state="absent", mac=[row["mac"] for row in rows])
    assert len(host.links()) == 3


def test_a_foreign_tap_that_is_held_is_not_cut_off_either(host):
    host.ip("link add link eth0 name foreign0 type macvtap", "link set foreign0 address 02:00:00:00:00:01")
    index = host.link("foreign0")["ifindex"]
    number = host.number_in_sysfs({"ifname": "foreign0", "ifindex": index}).split(":")
    host.run(["mknod", "/dev/other", "c", *number])
    host.hold("/dev/other")
    assert "foreign0 is held open by pid " in host.refusal(ATTACH, state="absent", mac=["02:00:00:00:00:01"])
    host.run(["rm", "/dev/other"])


def test_all_holders_are_named(host, rows):
    host.hold(rows[1]["tap_path"])
    host.hold(rows[0]["tap_path"])
    sentence = host.refusal(ATTACH, state="absent", ifname=["macvtap0", "macvtap1"])
    assert sentence.count("pid ") == 3


def test_the_pid_named_is_that_of_the_holder(host, rows):
    shell = host.spawn(
        ["sh", "-c", f"exec 3<>{rows[0]['tap_path']}; echo $$; exec sleep infinity"], stdout=-1, text=True
    )
    pid = shell.stdout.readline().strip()
    sentence = None
    while sentence is None or "(sh)" in sentence:  # until the exec
        sentence = host.refusal(ATTACH, state="absent", guest="a")
    assert f"pid {pid} (sleep)" in sentence


def test_others_go_while_one_is_held(host, rows):
    host.converges(ATTACH, state="absent", guest="a")
    assert sorted(host.links()) == ["macvtap1", "macvtap2"]


def test_once_let_go_a_tap_can_be_removed(host, rows):
    host.held.close()
    host.converges(ATTACH, state="absent", guest="b")


def test_force_removes_a_held_one(host, rows):
    host.converges(ATTACH, state="absent", guest="b", force=True)
    assert sorted(host.links()) == ["macvtap0", "macvtap2"]


def test_force_makes_a_held_one_again_and_says_so(host, rows):
    result = host.converges(ATTACH, attachments=[{"guest": "b", "device": "eth1"}], force=True)
    assert any(action.startswith("recreate macvtap1") for action in result["actions"])
    assert result["attachments"][0]["tap_path"] == rows[1]["tap_path"]


def test_force_purges_a_held_one(host, rows):
    host.converges(ATTACH, guest="b", attachments=[], purge=True, force=True)
    assert sorted(host.links()) == ["macvtap0", "macvtap2"]


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "bridge"},
        {"mode": "private"},
        {"mtu": 1400},
        {"ifname": "other0"},
        {"mac": "02:00:00:00:00:31"},
        {"promiscuous": True},
        {"allmulticast": False},
        {"queues": 2},
    ],
    ids=str,
)
def test_what_the_kernel_can_change_in_place_needs_no_force(host, rows, change):
    row = host.converges(ATTACH, attachments=[{"guest": "b", "device": "eth0", **change}])["attachments"][0]
    assert row["tap_path"] == rows[1]["tap_path"]


def test_a_network_changes_its_mode_under_a_held_tap(host):
    host.network(name="vepanet", devices=["eth0"])
    row = host.attach(attachments=[{"guest": "web", "network": "vepanet"}])["attachments"][0]
    host.hold(row["tap_path"])
    for mode in ("bridge", "private", "vepa"):
        host.converges(NETWORK, name="vepanet", mode=mode, devices=["eth0"])
        assert host.links()["macvtap0"]["linkinfo"]["info_data"]["mode"] == mode


@pytest.mark.parametrize("change", [{"mode": "passthrough", "devices": ["eth0"]}, {"devices": ["eth1"]}], ids=str)
def test_a_network_makes_a_held_link_again_only_with_force(host, change):
    host.network(name="vepanet", devices=["eth0"])
    row = host.attach(attachments=[{"guest": "web", "network": "vepanet"}])["attachments"][0]
    host.hold(row["tap_path"])
    sentence = host.refusal(NETWORK, name="vepanet", **change)
    assert "macvtap0 is held open by pid " in sentence
    result = host.converges(NETWORK, name="vepanet", force=True, **change)
    assert any(action.startswith("recreate macvtap0") for action in result["actions"])
    assert not host.attach(attachments=[{"guest": "web", "network": "vepanet"}])["changed"]


def test_a_descriptor_of_a_tap_that_is_gone_holds_nobodys(host):
    """The kernel gives the minor of a deleted link to the next one, although a process still has its node open."""

    def attached(guest):
        row = host.attach(attachments=[{"guest": guest, "device": "eth0"}])["attachments"][0]
        return row, (row["tap_major"], row["tap_minor"])

    # minors are the machine's: somebody else may be the next one
    for attempt in range(20):
        gone, minor = attached("gone%d" % attempt)
        host.hold(gone["tap_path"])
        host.attach(state="absent", guest=gone["guest"], force=True)
        if attached("next")[1] == minor:
            break
        host.attach(state="absent", guest="next")
    else:
        raise AssertionError("in %d tries no minor was given again" % attempt)
    assert host.attach(state="absent", guest="next")["changed"]
