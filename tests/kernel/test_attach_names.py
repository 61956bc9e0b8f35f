# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names: of links, found free or as asked for, and of guests and networks, however odd."""

import pytest
from module_host import ATTACH, NETWORK

ODD_NAMES = [
    "a b", " lead", "trail ", "ü", "日本", "a=b", "a%20b", "%", "nic=1 network=x", "q'\"<&>;$(id)`", "-x", ".x", "\\",
    "a,b", "#{x}", "{{ 7*7 }}", "!x", "*", "~", "\u202e", "\xa0", "x.xml", "linuxnet.macvtap guest=web nic=0", "0",
    "x" * 100,
]  # fmt: skip
ODD_LINK_NAMES = [
    "x" * 15,
    "ü" * 7,
    "a'b",
    'a"b',
    "a<b&c>",
    "-x",
    "a=b",
    "a;b",
    "$(id)",
    "*",
    "a.b",
    "a\\b",
    "..a",
    "{{x}}",
]


def guests(*names, **more):
    return [{"guest": name, "device": "eth0", **more} for name in names]


def test_links_take_the_lowest_free_names(host):
    host.ip("link add link eth0 name macvtap1 type macvtap", "link add link eth0 name macvtap3 type macvlan")
    rows = host.attach(attachments=guests("a", "b", "c"))["attachments"]
    assert [row["ifname"] for row in rows] == ["macvtap0", "macvtap2", "macvtap4"]


def test_a_name_that_was_given_back_is_taken_again(host):
    host.attach(attachments=guests("a", "b", "c"))
    host.detach(guest="b")
    assert host.attach(attachments=guests("d"))["attachments"][0]["ifname"] == "macvtap1"


def test_a_name_asked_for_in_the_same_task_is_not_given_to_another(host):
    rows = host.attach(attachments=[*guests("a", "b"), *guests("c", ifname="macvtap0")])["attachments"]
    assert [row["ifname"] for row in rows] == ["macvtap1", "macvtap2", "macvtap0"]


@pytest.mark.parametrize("name", ODD_LINK_NAMES)
def test_a_link_may_have_every_name_the_kernel_takes(host, name):
    assert host.converges(ATTACH, attachments=guests("web", ifname=name))["attachments"][0]["ifname"] == name
    assert host.detach(ifname=[name])["attachments"][0]["ifname"] == name


@pytest.mark.parametrize(
    "name", ["x" * 16, "ü" * 8, "a/b", "a b", "a:b", "%d", "macvtap%d", ".", "..", "", "a\x07", "à"]
)
def test_a_name_the_kernel_does_not_take_is_refused(host, name):
    sentence = host.refusal(ATTACH, attachments=guests("web", ifname=name))
    assert sentence.startswith("attachments[0]: the ifname ")


def test_a_name_that_another_kind_of_link_has_is_refused(host):
    sentence = host.refusal(ATTACH, attachments=guests("web", ifname="eth1"))
    assert "eth1" in sentence and "veth" in sentence


def test_a_name_that_another_guest_has_is_refused(host):
    host.attach(attachments=guests("web", ifname="one"))
    assert "one" in host.refusal(ATTACH, attachments=guests("db", ifname="one"))


def test_two_guests_swap_their_names(host):
    host.attach(attachments=[*guests("a", ifname="one"), *guests("b", ifname="two")])
    host.converges(ATTACH, attachments=[*guests("a", ifname="two"), *guests("b", ifname="one")])


def test_a_name_moves_on_along_a_chain(host):
    host.attach(attachments=[*guests("a", ifname="one"), *guests("b", ifname="two")])
    host.converges(ATTACH, attachments=[*guests("b", ifname="one"), *guests("a", ifname="three")])


def test_a_newcomer_takes_the_name_that_a_guest_gives_up_in_the_same_task(host):
    host.attach(attachments=guests("a", ifname="one"))
    host.converges(ATTACH, attachments=[*guests("a", ifname="two"), *guests("b", ifname="one")])


def test_two_guests_swap_their_macs(host):
    first, second = "02:00:00:00:00:01", "02:00:00:00:00:02"
    host.attach(attachments=[*guests("a", mac=first), *guests("b", mac=second)])
    host.converges(ATTACH, attachments=[*guests("a", mac=second), *guests("b", mac=first)])


def test_odd_guest_names_come_back_as_they_were(host):
    host.converges(ATTACH, attachments=guests(*ODD_NAMES))
    assert [row["guest"] for row in host.attach(attachments=guests(*ODD_NAMES))["attachments"]] == ODD_NAMES
    for name in ODD_NAMES:
        assert [row["guest"] for row in host.detach(guest=name)["attachments"]] == [name]


def test_odd_network_names_come_back_as_they_were(host):
    for name in ODD_NAMES:
        host.network(name=name, devices=["eth0"])
        assert not host.network(name=name, devices=["eth0"])["changed"]
    wanted = [{"guest": "web", "network": name} for name in ODD_NAMES]
    rows = host.attach(attachments=wanted)["attachments"]
    assert [row["network"] for row in rows] == ODD_NAMES
    assert not host.attach(attachments=wanted)["changed"]
    for name in ODD_NAMES:
        assert [row["network"] for row in host.detach(network=name)["attachments"]] == [name]
        assert host.network(name=name, state="absent")["changed"]
    assert host.run(["ls", "-A", "/etc/macvtap/networks"]).stdout == ""


@pytest.mark.parametrize("name", ["../../x", "a/b", ".", "..", "", "a\nb", "a\x00b", "\x7f", "x" * 252])
def test_a_network_name_that_is_no_file_name_is_refused(host, name):
    assert host.refusal(NETWORK, name=name, devices=["eth0"]).startswith("the network name ")


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00b", "x" * 227, "ü" * 100])
def test_a_guest_name_that_the_mark_cannot_hold_is_refused(host, name):
    assert "guest name" in host.refusal(ATTACH, attachments=guests(name))


def test_guest_and_network_names_too_long_together_are_refused(host):
    guest, network = "g" * 120, "n" * 120
    host.network(name=network, devices=["eth0"])
    assert "too long" in host.refusal(ATTACH, attachments=[{"guest": guest, "network": network}])
