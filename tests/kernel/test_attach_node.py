# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tap node: the right device or none. What lies there and is not ours is never followed, changed or removed."""

import pytest
from module_host import ATTACH, second_namespace

WEB = {"guest": "web", "device": "eth0"}
#: what may lie at a tap path by accident or malice: how to make it, and the word for it in the refusal
PLANTED = {
    "touch %s": "regular file",
    "ln -s /dev/null %s": "symbolic link",
    "ln -s /nowhere %s": "symbolic link",
    "mkfifo %s": "FIFO",
    "mkdir %s": "directory",
    "mknod %s b 7 0": "block device",
    "python3 -c 'import socket as s; s.socket(s.AF_UNIX).bind(\"%s\")'": "socket",
}


def path_of_web(host):
    """The path that guest web gets, free again."""
    path = host.attach(attachments=[WEB])["tap_paths"][0]
    host.detach(guest="web")
    return path


def plant(host, how, path):
    host.run(["sh", "-c", how % path])
    return host.node(path)


@pytest.mark.parametrize("how", PLANTED, ids=PLANTED.values())
def test_what_is_no_device_at_the_path_of_a_new_tap_is_refused(host, how):
    path = path_of_web(host)
    lies_there = plant(host, how, path)
    sentence = host.refusal(ATTACH, attachments=[WEB], device_mode="0666", device_owner="nobody")
    assert PLANTED[how] in sentence and path in sentence
    assert host.node(path) == lies_there
    assert host.links() == {}


@pytest.mark.parametrize("how", {**PLANTED, "mknod %s c 1 3": "character device"})
def test_what_is_no_device_at_the_path_of_a_live_tap_is_refused(host, how):
    path = host.attach(attachments=[WEB])["tap_paths"][0]
    host.run(["rm", path])
    lies_there = plant(host, how, path)
    assert path in host.refusal(ATTACH, attachments=[WEB], device_mode="0666", device_owner="nobody")
    assert host.node(path) == lies_there
    host.detach(guest="web")
    assert host.node(path) == lies_there


@pytest.mark.parametrize("number", ["1 3", "10 200"])
def test_another_device_at_the_path_is_stepped_around(host, number):
    path = path_of_web(host)
    lies_there = plant(host, "mknod %s c " + number, path)
    row = host.converges(ATTACH, attachments=[WEB], device_mode="0660")["attachments"][0]
    assert row["tap_path"] != path and host.opens(row)
    host.detach(guest="web")
    assert host.node(path) == lies_there


def stale_number(host):
    """``major minor`` of a macvtap that does not exist."""
    row = host.attach(attachments=[{"guest": "other", "device": "eth1"}])["attachments"][0]
    host.detach(guest="other")
    return f"{row['tap_major']} 1048575"


def test_a_stale_node_at_the_path_of_a_new_tap_is_replaced(host):
    path = path_of_web(host)
    plant(host, "mknod %s c " + stale_number(host), path)
    row = host.converges(ATTACH, attachments=[WEB])["attachments"][0]
    assert row["tap_path"] == path and host.opens(row)


def test_a_stale_node_at_the_path_of_a_live_tap_is_replaced(host):
    path = host.attach(attachments=[WEB])["tap_paths"][0]
    host.run(["rm", path])
    plant(host, "mknod %s c " + stale_number(host), path)
    result = host.converges(ATTACH, attachments=[WEB])
    assert "stale" in result["actions"][0]
    assert host.opens(result["attachments"][0])


def test_a_stale_node_whose_minor_was_used_again_is_not_replaced(host):
    path = path_of_web(host)
    other = host.attach(attachments=[{"guest": "other", "device": "eth1"}])["attachments"][0]
    lies_there = plant(host, f"mknod %s c {other['tap_major']} {other['tap_minor']}", path)
    row = host.converges(ATTACH, attachments=[WEB], device_owner="nobody")["attachments"][0]
    assert host.opens(row)
    assert (host.node(path) == lies_there) == (row["tap_path"] != path)


def test_a_stale_node_whose_minor_another_link_of_the_same_run_gets_is_replaced(host):
    taps = [{"guest": guest, "device": "eth0"} for guest in ("a", "b")]
    rows = host.attach(attachments=taps)["attachments"]
    host.ip(*(f"link del {row['ifname']}" for row in rows))
    # the kernel gives out the lowest minors first: what was left at the path of each is the other one's now
    for row, other in zip(rows, reversed(rows)):
        host.run(["rm", "-f", row["tap_path"]])
        plant(host, f"mknod %s c {other['tap_major']} {other['tap_minor']}", row["tap_path"])
    assert all(host.opens(row) for row in host.attach(attachments=taps)["attachments"])
    assert host.attach(attachments=taps)["actions"] == []


def test_nodes_go_with_their_links(host):
    rows = host.attach(attachments=[WEB, WEB, WEB])["attachments"]
    host.detach(ifname=[rows[1]["ifname"]])
    assert sorted(host.taps()) == sorted(row["tap_path"] for row in (rows[0], rows[2]))
    host.detach(guest="web")
    assert host.taps() == []


def test_a_node_deleted_by_hand_does_not_keep_a_link_from_going(host):
    host.attach(attachments=[WEB])
    host.run(["sh", "-c", "rm /dev/tap*"])
    host.converges(ATTACH, state="absent", guest="web")


def test_two_namespaces_that_share_dev_never_share_a_path(host):
    with second_namespace(host) as second:
        first_row = host.attach(attachments=[WEB, {"guest": "other", "device": "eth0"}])["attachments"][0]
        second_row = second.converges(ATTACH, attachments=[WEB])["attachments"][0]
        assert second_row["tap_path"] != first_row["tap_path"]
        assert host.opens(first_row) and second.opens(second_row)
        assert not host.attach(attachments=[WEB])["changed"]


def test_two_namespaces_that_share_dev_never_share_a_path_when_the_kernel_counts(host):
    with second_namespace(host) as second:
        options = {"attachments": [WEB, WEB, WEB], "stable_index": False}
        rows = [(at, row) for at in (host, second) for row in at.attach(**options)["attachments"]]
        assert len({row["tap_path"] for _at, row in rows}) == 6
        assert all(at.opens(row) for at, row in rows)


def test_a_link_of_the_same_index_in_another_namespace_is_never_given_the_first_ones_node(host):
    first_row = host.attach(attachments=[WEB])["attachments"][0]
    with second_namespace(host) as second:
        link = f"index {first_row['ifindex']} address {first_row['mac']}"
        second.run(["sh", "-c", f"ip link add link eth0 name macvtap0 {link} type macvtap"])
        sentence = second.refusal(ATTACH, attachments=[WEB], device_mode="0666")
        assert first_row["tap_path"] in sentence
        assert second.detach(mac=[first_row["mac"]])["changed"]
        assert host.opens(first_row) and host.node(first_row["tap_path"])[2] == "600"


def test_a_sysfs_of_another_namespace_does_not_mislead(host):
    first_row = host.attach(attachments=[WEB])["attachments"][0]
    with second_namespace(host, sysfs=False) as second:
        row = second.converges(ATTACH, attachments=[WEB])["attachments"][0]
        assert row["tap_path"] != first_row["tap_path"] and row["tap_minor"] != first_row["tap_minor"]
        assert host.node(row["tap_path"])[1] == "%(tap_major)d:%(tap_minor)d" % row
        second.detach(guest="web")
        assert host.opens(first_row)


def test_a_twin_link_in_the_namespace_of_a_wrong_sysfs_is_not_taken_for_ours(host):
    first_row = host.attach(attachments=[WEB])["attachments"][0]
    with second_namespace(host, sysfs=False) as second:
        link = f"index {first_row['ifindex']} address {first_row['mac']}"
        second.run(["sh", "-c", f"ip link add link eth0 name macvtap0 {link} type macvtap"])
        assert first_row["tap_path"] in second.refusal(ATTACH, attachments=[WEB], device_mode="0666")
        second.detach(mac=[first_row["mac"]])
        assert host.opens(first_row)


def test_the_mode_of_a_node_is_never_wider_than_asked_for(host):
    row = host.attach(attachments=[WEB])["attachments"][0]
    assert host.node(row["tap_path"])[2:] == ("600", "0:0")


@pytest.mark.parametrize("directory", ["/nowhere", "/dev/null"])
def test_a_device_directory_that_is_none_is_refused(host, directory):
    assert directory in host.refusal(ATTACH, attachments=[WEB], device_dir=directory)
