# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a task asked for is found on the host and kept by tasks that do not mention it."""

from module_host import ATTACH, warnings

WEB = {"guest": "web", "device": "eth0"}
ASKED = {"mtu": 1400, "isolate_host": False, "link_state": "down"}


def state(host, row):
    link = host.link(row["ifname"])
    return link["mtu"], "NOARP" in link["flags"], host.ipv6_disabled(row["ifname"]), "UP" in link["flags"]


def test_what_is_not_mentioned_is_kept_with_a_warning_and_can_be_reset(host):
    row = host.converges(ATTACH, attachments=[{**WEB, **ASKED}])["attachments"][0]
    assert (row["requested"], state(host, row)) == (ASKED, (1400, False, False, False))
    again = host.converges(ATTACH, attachments=[WEB])
    assert (again["changed"], again["attachments"][0]["requested"]) == (False, ASKED)
    assert state(host, row) == (1400, False, False, False)
    (said,) = warnings(again)
    for option in ("mtu=1400", "isolate_host=false", "link_state=down"):
        assert f"{option} of guest web nic 0" in said
    # drift goes back to what was asked for, not to the defaults
    host.ip("link set macvtap0 mtu 1300")
    assert host.converges(ATTACH, attachments=[WEB])["attachments"][0]["mtu"] == 1400
    # of another NIC it says nothing
    assert host.attach(attachments=[WEB, {**WEB, "nic": 1}])["attachments"][1]["requested"] == {}
    reset = host.converges(ATTACH, attachments=[{**WEB, "mtu": 0}], isolate_host=True, link_state="up")
    assert (reset["attachments"][0]["requested"], warnings(reset)) == ({}, [])
    assert state(host, row) == (1500, True, True, True)


def test_info_and_a_link_created_again_know_it(host):
    row = host.attach(attachments=[{**WEB, **ASKED}])["attachments"][0]
    told = host.module("macvtap_info")["attachments"][0]
    assert (told["requested"], told["problems"]) == (ASKED, [])
    moved = host.converges(ATTACH, attachments=[{**WEB, "device": "eth1"}])["attachments"][0]
    assert (moved["requested"], state(host, row)) == (ASKED, (1400, False, False, False))


def test_a_link_of_version_1_0_has_the_defaults_again(host):
    host.attach(attachments=[{**WEB, **ASKED}])
    host.ip("link set macvtap0 alias 'linuxnet.macvtap guest=web nic=0'")
    done = host.converges(ATTACH, attachments=[WEB])
    assert (done["attachments"][0]["requested"], warnings(done)) == ({}, [])
    assert state(host, done["attachments"][0]) == (1500, True, True, True)


def test_info_tells_of_mtus_that_do_not_follow(host):
    host.attach(attachments=[WEB, {"guest": "db", "device": "eth0", "mtu": 1400}])
    host.ip("link set eth0 mtu 9000")
    problems = {row["guest"]: row["problems"] for row in host.module("macvtap_info")["attachments"]}
    assert problems == {
        "web": ["mtu 1500 is less than the 9000 of lower device eth0, and no task requested that"], "db": [],
    }  # fmt: skip
    host.ip("link set eth0 mtu 1300")
    done = host.converges(ATTACH, attachments=[WEB, {"guest": "db", "device": "eth0"}])
    assert [row["mtu"] for row in done["attachments"]] == [1300, 1300]
    problems = {row["guest"]: row["problems"] for row in host.module("macvtap_info")["attachments"]}
    assert problems["db"] == ["mtu 1400, which a task requested, is more than the 1300 of lower device eth0"]
    host.ip("link set eth0 mtu 1500")
    done = host.converges(ATTACH, attachments=[WEB, {"guest": "db", "device": "eth0"}])
    assert [row["mtu"] for row in done["attachments"]] == [1500, 1400]
