# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The filter qemu_netdev: what it gives, and what it refuses."""

from __future__ import annotations

import shlex

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.linuxnet.macvtap.plugins.filter.qemu_netdev import FilterModule

qemu_netdev = FilterModule().filters()["qemu_netdev"]


def attachment(**changes):
    """An attachment as macvtap_attach returns it."""
    return {
        "guest": "web",
        "nic": 0,
        "ifname": "macvtap0",
        "mac": "02:00:00:00:00:01",
        "mtu": 1500,
        "queues": 1,
        "tap_path": "/dev/tap7",
        "tap_major": 246,
        "tap_minor": 3,
        **changes,
    }


def test_one_nic_is_one_descriptor():
    made = qemu_netdev([attachment()])
    assert made.pop("guard")[3:] == ["macvtap-guard", "3", "/sys/class/net/macvtap0/macvtap/tap7/dev", "--"]
    assert made.pop("unit_guard").endswith(" macvtap-guard 3 /sys/class/net/macvtap0/macvtap/tap7/dev --")
    assert made == {
        "args": [
            "-netdev",
            "tap,id=net0,fd=3",
            "-device",
            "virtio-net-pci,netdev=net0,mac=02:00:00:00:00:01,host_mtu=1500,id=nic0",
        ],
        "redirections": ["3<>/dev/tap7"],
        "open_files": ["/dev/tap7:net0-0"],
    }


def test_every_queue_is_one_descriptor_of_the_same_tap():
    result = qemu_netdev([attachment(queues=2), attachment(nic=1, tap_path="/dev/tap8")])
    assert result["args"][1] == "tap,id=net0,fds=3:4"
    assert ",mq=on,vectors=6," in result["args"][3]
    assert result["args"][5] == "tap,id=net1,fd=5"
    assert "mq=" not in result["args"][7]
    assert result["redirections"] == ["3<>/dev/tap7", "4<>/dev/tap7", "5<>/dev/tap8"]
    assert result["open_files"] == ["/dev/tap7:net0-0", "/dev/tap7:net0-1", "/dev/tap8:net1-0"]


def checked(result):
    """The descriptors that the guard looks at, each with the file that it compares it with."""
    return result["guard"][4:-1]


def test_the_guard_looks_at_every_queue_and_not_at_vhost():
    two = [attachment(queues=2), attachment(nic=1, tap_path="/dev/tap8", ifname=None)]
    files = "/sys/class/net/macvtap0/macvtap/tap7/dev", "/sys/class/net/*/macvtap/tap8/dev"
    assert checked(qemu_netdev(two)) == ["3", files[0], "4", files[0], "5", files[1]]
    assert checked(qemu_netdev(two, vhost=True)) == ["3", files[0], "4", files[0], "7", files[1]]
    (word,) = (word for word in checked(qemu_netdev([attachment(tap_path="/srv/taps/web")])) if word[0] == "/")
    assert word == "/sys/class/net/macvtap0/macvtap/tap*/dev"


def test_descriptors_start_where_asked():
    result = qemu_netdev([attachment()], first_fd=10)
    assert result["args"][1] == "tap,id=net0,fd=10"
    assert result["redirections"] == ["10<>/dev/tap7"]
    assert checked(result) == ["10", "/sys/class/net/macvtap0/macvtap/tap7/dev"]


def test_vhost_descriptors_follow_those_of_their_tap():
    result = qemu_netdev([attachment(queues=2), attachment(nic=1)], vhost=True)
    assert result["args"][1] == "tap,id=net0,fds=3:4,vhost=on,vhostfds=5:6"
    assert result["args"][5] == "tap,id=net1,fd=7,vhost=on,vhostfd=8"
    assert result["redirections"][2] == "5<>/dev/vhost-net"
    assert len(result["redirections"]) == len(result["open_files"]) == 6


def test_the_driver_can_be_another():
    result = qemu_netdev([attachment(queues=2)], driver="virtio-net-device")
    assert result["args"][3].startswith("virtio-net-device,netdev=net0,")
    assert "mq=on" in result["args"][3]
    assert "vectors" not in result["args"][3]


def test_ids_follow_the_nic_and_else_the_place():
    args = qemu_netdev([attachment(nic=4), attachment(nic=None)])["args"]
    assert args[1].startswith("tap,id=net4,")
    assert args[5].startswith("tap,id=net1,")


def test_no_attachment_is_no_argument():
    assert qemu_netdev([]) == {
        "args": [],
        "redirections": [],
        "open_files": [],
        "guard": [],
        "unit_guard": "",
    }


def test_a_predicted_attachment_needs_no_device_number():
    predicted = attachment(tap_major=None, tap_minor=None, mtu=None)
    assert "host_mtu" not in qemu_netdev([predicted])["args"][3]


@pytest.mark.parametrize("path", ["/dev/a b/tap7", "/dev/$(reboot)/tap7", "/dev/it's/tap7", "/dev/a;b/tap7"])
def test_a_path_stays_one_word_of_the_shell(path):
    (redirection,) = qemu_netdev([attachment(tap_path=path)])["redirections"]
    assert shlex.split(redirection) == ["3<>" + path]


def test_a_path_stays_one_field_of_open_file():
    (value,) = qemu_netdev([attachment(tap_path="/dev/a:b c\\/tap7")])["open_files"]
    assert value == "/dev/a\\x3ab\\x20c\\x5c/tap7:net0-0"


@pytest.mark.parametrize(
    ("attachments", "word"),
    [
        ("no list", "must be a list"),
        ({"web": []}, "must be a list"),
        (["/dev/tap7"], "attachments[0] must be an attachment"),
        ([attachment(), attachment(tap_path="/dev/tap8")], "attachments[1]: NIC 0 is there twice"),
        ([attachment(mac=None)], "has no mac"),
        ([{"mac": "02:00:00:00:00:01"}], "has no tap_path"),
        ([attachment(mac="02:00:00:00:00:01,x=y")], "is not a MAC address"),
        ([attachment(tap_path="tap7")], "not an absolute path"),
        ([attachment(tap_path="/dev/tap7\nExecStart=/bin/sh")], "not an absolute path of printable characters"),
        ([attachment(tap_path="/dev/%n/tap7")], "systemd would expand"),
        ([attachment(queues=0)], "queues 0 is not between 1 and 256"),
        ([attachment(queues="two")], "queues 'two' is not a number"),
        ([attachment(mtu=67)], "mtu 67 is not between"),
        ([attachment(nic=-1)], "nic -1 is not between"),
    ],
)
def test_what_cannot_be_is_refused_by_name(attachments, word):
    with pytest.raises(AnsibleFilterError) as caught:
        qemu_netdev(attachments)
    assert word in str(caught.value)


@pytest.mark.parametrize("first_fd", [2, "3", True, -1])
def test_a_first_descriptor_that_cannot_be_is_refused(first_fd):
    with pytest.raises(AnsibleFilterError, match="first_fd must be a number from 3 on"):
        qemu_netdev([attachment()], first_fd=first_fd)


def test_a_driver_that_smuggles_options_is_refused():
    with pytest.raises(AnsibleFilterError, match="not the name of a QEMU device"):
        qemu_netdev([attachment()], driver="virtio-net-pci,romfile=/etc/shadow")
