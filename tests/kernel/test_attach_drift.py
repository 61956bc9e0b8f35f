# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever somebody changes about an attachment, the next run repairs it in place, and only that."""

import pytest
from module_host import ATTACH

WEB = {"guest": "web", "device": "eth0", "ifname": "web0"}
OWNED = {"device_owner": "nobody", "device_group": "65533", "device_mode": "0660"}


@pytest.mark.parametrize(
    "drift, named",
    [
        ("ip link set web0 mtu 1400", "mtu 1400 -> 1500"),
        ("ip link set web0 address 02:00:00:00:00:09", "mac 02:00:00:00:00:09 ->"),
        ("ip link set web0 allmulticast off", "allmulticast false -> true"),
        ("ip link set web0 promisc on", "promiscuous true -> false"),
        ("ip link set web0 arp on", "arp true -> false"),
        ("ip link set web0 alias ''", "mark none -> linuxnet.macvtap guest=web nic=0"),
        ("ip link set web0 alias 'somebody else'", "mark somebody else -> linuxnet.macvtap guest=web nic=0"),
        ("ip link set web0 down", "link_state down -> up"),
        ("ip link set web0 type macvtap mode bridge", "mode bridge -> vepa"),
        ("ip link set web0 type macvtap mode source", "mode source -> vepa"),
        ("ip link set web0 type macvtap bcqueuelen 5000", "broadcast_queue 5000 -> 1000"),
        # while it is down, as some kernels want it
        ("ip link set web0 down; ip link set web0 name other0; ip link set other0 up", "ifname other0 -> web0"),
        ("echo 0 > /proc/sys/net/ipv6/conf/web0/disable_ipv6", "ipv6 true -> false"),
        ("rm /dev/tap*", "create device node"),
        ("chmod 666 /dev/tap*", "0666 to"),
        ("chown 4711 /dev/tap*", "from 4711:"),
        ("chgrp 4711 /dev/tap*", ":4711 "),
    ],
)
def test_drift_is_repaired_in_place(host, drift, named):
    before = host.attach(attachments=[WEB], **OWNED)["attachments"]
    host.run(["sh", "-c", drift])
    result = host.converges(ATTACH, attachments=[WEB], **OWNED)
    assert named in result["actions"][0]
    assert len(result["actions"]) == (2 if drift.startswith("rm") else 1)
    assert result["attachments"] == before


def test_all_drift_at_once_is_repaired_in_one_run(host):
    before = host.attach(attachments=[WEB], **OWNED)["attachments"]
    host.run(["sh", "-c", "rm /dev/tap*; echo 0 > /proc/sys/net/ipv6/conf/web0/disable_ipv6"])
    host.ip(
        "link set web0 down",
        "link set web0 mtu 1400 address 02:00:00:00:00:09 allmulticast off promisc on arp on",
        "link set web0 type macvtap mode private bcqueuelen 0",
    )
    assert host.converges(ATTACH, attachments=[WEB], **OWNED)["attachments"] == before


def test_drift_under_a_guest_is_repaired_without_cutting_it_off(host):
    row = host.attach(attachments=[WEB])["attachments"][0]
    host.hold(row["tap_path"])
    host.ip("link set web0 type macvtap mode bridge", "link set web0 mtu 1400 down", "link set web0 allmulticast off")
    host.converges(ATTACH, attachments=[WEB])


def test_a_renamed_link_is_found_by_its_mark_and_keeps_its_new_name(host):
    unnamed = {"guest": "web", "device": "eth0"}
    host.attach(attachments=[unnamed])
    host.ip("link set macvtap0 down", "link set macvtap0 name other0", "link set other0 up")
    again = host.attach(attachments=[unnamed])
    assert (again["changed"], again["attachments"][0]["ifname"]) == (False, "other0")


def test_an_owner_that_nobody_asked_for_is_left_alone(host):
    row = host.attach(attachments=[WEB])["attachments"][0]
    host.run(["sh", "-c", "chown 4711:4712 %(tap_path)s; chmod 644 %(tap_path)s" % row])
    again = host.attach(attachments=[WEB])
    assert not again["changed"]
    shown = [again["attachments"][0][key] for key in ("tap_owner", "tap_group", "tap_mode")]
    assert shown == ["4711", "4712", "0644"]


def test_ipv6_that_came_with_a_larger_mtu_is_switched_off_again(host):
    host.attach(attachments=[WEB])
    # below 1280 the kernel takes IPv6 off the link, and gives it back switched on
    host.ip("link set eth0 mtu 1200", "link set eth0 mtu 1500")
    host.converges(ATTACH, attachments=[WEB])
    assert host.ipv6_disabled("web0")
    assert "inet6" not in host.run(["ip", "address", "show", "dev", "web0"]).stdout


def test_a_link_that_vanished_is_made_again_at_the_same_path(host):
    before = host.attach(attachments=[WEB])["attachments"][0]
    host.ip("link delete web0")
    after = host.converges(ATTACH, attachments=[WEB])["attachments"][0]
    assert (after["tap_path"], after["mac"]) == (before["tap_path"], before["mac"])
    assert host.opens(after)


def test_a_guest_survives_its_lower_device_being_made_again(host):
    host.run(["ip", "link", "add", "name", "up0", "type", "veth", "peer", "name", "up1"])
    wanted = {"guest": "web", "device": "up0"}
    before = host.attach(attachments=[wanted])["attachments"][0]
    host.ip("link delete up0", "link add name up0 type veth peer name up1")
    after = host.converges(ATTACH, attachments=[wanted])["attachments"][0]
    assert (after["tap_path"], after["mac"]) == (before["tap_path"], before["mac"])
    assert host.opens(after)
