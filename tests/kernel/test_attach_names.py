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


@pytest.fixture
def altnames(host):
    """Gives uplinks alternative names, and takes them away again."""
    given = []

    def give(device, name):
        host.ip(f"link property add dev {device} altname {name}")
        given.append(f"link property del dev {device} altname {name}")

    yield give
    host.ip(*given)


def test_an_alternative_name_of_any_link_is_no_free_name(host, altnames):
    altnames("eth1", "macvtap0")
    row = host.converges(ATTACH, attachments=guests("web"))["attachments"][0]
    assert row["ifname"] == "macvtap1"


def test_an_alternative_name_asked_for_is_refused_with_whose_it_is(host, altnames):
    altnames("eth1", "uplink-b")
    sentence = host.refusal(ATTACH, attachments=guests("web", ifname="uplink-b"))
    assert "uplink-b is an alternative name of eth1" in sentence
    row = host.attach(attachments=guests("web", ifname="tap-web"))["attachments"][0]
    host.ip("link property add dev tap-web altname web0")
    sentence = host.refusal(ATTACH, attachments=guests("web", ifname="web0"))
    assert "ip link property del dev tap-web altname web0" in sentence
    assert host.attach(attachments=guests("web"))["attachments"] == [row]


LONG = "enx-a-name-that-is-longer-than-the-name-of-a-link"


def test_a_lower_device_may_be_given_by_an_alternative_name(host, altnames):
    altnames("eth1", LONG)
    xml = f"<interface type='direct'><source dev='{LONG}' mode='bridge'/></interface>"
    first = host.converges(ATTACH, guest="web", xml=xml)["attachments"][0]
    assert first["device"] == "eth1"
    second = host.converges(ATTACH, attachments=[{"guest": "db", "device": LONG, "mode": "bridge"}])["attachments"][0]
    assert second["device"] == "eth1"
    told = host.module("macvtap_info", device=LONG)["attachments"]
    assert {row["guest"] for row in told} == {"web", "db"}
    assert host.module("macvtap_probe", device=LONG)["reflective_relay"]


@pytest.mark.parametrize("how", ["options", "xml"])
def test_a_network_keeps_the_alternative_name_and_follows_it(host, altnames, how):
    altnames("eth1", LONG)
    pool = f"<network><name>n</name><forward mode='vepa'><interface dev='{LONG}'/></forward></network>"
    options = {"name": "n", "devices": [LONG]} if how == "options" else {"xml": pool}
    network = host.converges(NETWORK, **options)["network"]
    assert [(row["name"], row["given"]) for row in network["devices"]] == [("eth1", LONG)]
    assert LONG in network["xml"] and "eth1" not in network["xml"]
    wanted = [{"guest": "web", "network": "n"}]
    made = host.converges(ATTACH, attachments=wanted)["attachments"][0]
    # the name of the NIC is another one today
    host.ip("link set eth1 down", "link set eth1 name wan0", "link set wan0 up")
    try:
        assert not host.network(**options)["changed"]
        again = host.attach(attachments=wanted)
        assert not again["changed"] and again["attachments"][0] == {**made, "device": "wan0"}
        told = host.module("macvtap_info")
        assert told["networks"][0]["problems"] == [] and told["attachments"][0]["problems"] == []
    finally:
        host.ip("link set wan0 down", "link set wan0 name eth1", "link set eth1 up")


def test_a_pool_does_not_have_a_device_under_two_names(host, altnames):
    altnames("eth1", LONG)
    sentence = host.refusal(NETWORK, name="n", devices=["eth1", LONG])
    assert f"network 'n' lists device eth1 twice, as 'eth1' and as '{LONG}'" in sentence


@pytest.mark.parametrize("device", ["mac:52:54:00:12:34", "mac:", "x" * 128, "a b"])
def test_what_is_neither_a_name_nor_a_mac_of_a_device_is_refused(host, device):
    assert host.refusal(ATTACH, attachments=[{"guest": "web", "device": device}]).startswith("attachments[0]: the ")


def test_a_mac_that_is_the_permanent_one_of_no_device_is_refused(host):
    # the ends of a veth have none
    mac = host.link("eth0")["address"]
    sentence = host.refusal(ATTACH, attachments=[{"guest": "web", "device": f"mac:{mac}"}])
    assert f"lower device 'mac:{mac}' does not exist on this host; usable devices: none" in sentence
