# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of link attributes: what differs, what needs a new link, what is written."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import (
    IFF_ALLMULTI,
    IFF_NOARP,
    IFF_PROMISC,
    IFF_UP,
    Bandwidth,
    Guard,
    Link,
    OwnerTag,
    Shape,
    VirtualFunction,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link import attributes
from ansible_collections.linuxnet.macvtap.plugins.module_utils._traffic import guard

FOUND = Link(
    ifindex=9,
    name="macvtap0",
    kind="macvtap",
    mode="vepa",
    lower=2,
    mac="02:00:00:00:00:01",
    mtu=1500,
    flags=IFF_UP | IFF_NOARP | IFF_ALLMULTI,
    alias="mark",
    ipv6_disabled=True,
    broadcast_queue=1000,
)
OPTIONS = {option.name: option for option in attributes.OPTIONS}


def test_equal_links_differ_in_nothing():
    assert attributes.differences(FOUND, FOUND) == ()


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("device", {"lower": 3}),
        ("mode", {"mode": "bridge"}),
        ("ifname", {"name": "web0"}),
        ("mac", {"mac": "02:00:00:00:00:02"}),
        ("mtu", {"mtu": 1400}),
        ("allmulticast", {"flags": FOUND.flags & ~IFF_ALLMULTI}),
        ("promiscuous", {"flags": FOUND.flags | IFF_PROMISC}),
        ("arp", {"flags": FOUND.flags & ~IFF_NOARP}),
        ("ipv6", {"ipv6_disabled": False}),
        ("broadcast_queue", {"broadcast_queue": 5000}),
        ("bandwidth", {"bandwidth": Bandwidth(outbound=Shape(1024, 0, 2048))}),
        ("vf", {"vf": VirtualFunction(vlan=20)}),
        ("mark", {"alias": "another"}),
        ("link_state", {"flags": FOUND.flags & ~IFF_UP}),
    ],
)
def test_each_attribute_is_compared(name, change):
    assert attributes.differences(FOUND, FOUND._replace(**change)) == (name,)


@pytest.mark.parametrize("change", [{"group": 5}, {"operstate": "down"}, {"flags": FOUND.flags | 0x1000}])
def test_what_is_not_ours_to_set_is_not_compared(change):
    assert attributes.differences(FOUND, FOUND._replace(**change)) == ()


def test_differences_come_in_the_order_of_the_table():
    wanted = FOUND._replace(flags=0, mtu=1400, mode="bridge")
    assert attributes.differences(FOUND, wanted) == ("mode", "mtu", "arp", "allmulticast", "link_state")


def test_a_link_without_ipv6_needs_none_switched_off():
    assert attributes.differences(FOUND._replace(ipv6_disabled=None), FOUND) == ()


def test_a_kernel_without_broadcast_queues_has_none_to_set():
    assert attributes.differences(FOUND._replace(broadcast_queue=None), FOUND) == ()


def test_a_link_that_gets_ipv6_back_by_its_mtu_must_be_down_until_it_is_silent():
    found = FOUND._replace(ipv6_disabled=None, mtu=1279)
    assert attributes.differences(found, FOUND) == ("mtu", "ipv6")
    assert attributes.must_go_down(found, FOUND)


def test_allmulticast_of_passthrough_changes_only_while_the_link_is_down():
    found = FOUND._replace(mode="passthrough")
    assert attributes.must_go_down(found, found._replace(flags=found.flags & ~IFF_ALLMULTI))
    assert not attributes.must_go_down(found, found._replace(flags=found.flags & ~IFF_NOARP))


def test_a_link_that_is_down_anyway_need_not_go_down():
    found = FOUND._replace(ipv6_disabled=None, mtu=1279, flags=0)
    assert not attributes.must_go_down(found, FOUND)


@pytest.mark.parametrize("mode", ["vepa", "bridge", "private", "source"])
@pytest.mark.parametrize("wanted", ["vepa", "bridge", "private"])
def test_modes_change_in_place(mode, wanted):
    assert not attributes.forcing(FOUND._replace(mode=mode), FOUND._replace(mode=wanted))


@pytest.mark.parametrize(("mode", "wanted"), [("passthrough", "vepa"), ("bridge", "passthrough")])
def test_to_and_from_passthrough_takes_a_new_link(mode, wanted):
    assert attributes.forcing(FOUND._replace(mode=mode), FOUND._replace(mode=wanted))


def test_another_lower_device_takes_a_new_link():
    assert attributes.forcing(FOUND, FOUND._replace(lower=3))


def test_everything_else_changes_in_place():
    wanted = Link(9, "web0", "macvtap", "vepa", 2, None, "02:00:00:00:00:09", 1400, 0, "other", ipv6_disabled=False)
    wanted = wanted._replace(broadcast_queue=7)
    assert not attributes.forcing(FOUND, wanted)


def test_flags_that_are_not_named_are_not_meant():
    assert attributes.encode(FOUND, ("arp", "promiscuous")) == (b"", IFF_NOARP, IFF_NOARP | IFF_PROMISC)


def test_ipv6_has_no_netlink_attribute():
    assert attributes.encode(FOUND, ("ipv6",)) == (b"", 0, 0)


def test_a_new_link_is_down_and_silent():
    _payload, flags, change = attributes.encode(FOUND, attributes.AT_CREATION)
    assert not change & IFF_UP
    assert flags & IFF_NOARP


def values(option):
    """Two values that an option can have, of which the first is not its default."""
    if option.allowed:
        return option.allowed[0], option.allowed[-1]
    if option.name == attributes.GUARD:
        return tuple(guard.as_row(Guard(vlans=vlans)) for vlans in ((5,), (6,)))
    if option.name == attributes.VF:
        return {"vlan": 20, "trust": True}, {"vlan": 0, "spoof_check": False}
    if option.check:
        average, burst = {"average": 1024, "peak": None, "burst": 10}, {"average": 64, "peak": 65, "burst": 10}
        return {"inbound": average, "outbound": None}, {"inbound": None, "outbound": burst}
    first, second = option.spec.get("choices", (False, True))
    return (second, first) if option.default == first else (first, second)


def fields():
    return {**FOUND._asdict(), "flags": 0, "ipv6_disabled": None, "broadcast_queue": None}


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_what_a_nic_asks_for_is_what_its_link_shows(option):
    for value in values(option):
        assert option.show(attributes.with_settings(fields(), {option.name: value})) == value


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_what_is_not_asked_for_has_its_default(option):
    shown = option.show(attributes.with_settings(fields(), {option.name: None}))
    assert shown == (FOUND.mtu if option.name == "mtu" else option.default)


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_another_value_is_another_attribute_of_the_link_that_the_kernel_can_be_told(option):
    first, second = (attributes.with_settings(fields(), {option.name: value}) for value in values(option))
    names = attributes.differences(first, second)
    assert names
    if names in ((attributes.BANDWIDTH,), (attributes.GUARD,), (attributes.VF,)):
        # told in messages of its own (_link.tc), by nft, or of another link
        return
    told = attributes.encode(second, names)
    assert told != attributes.encode(first, names)
    assert told[0] or told[2]


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_a_boot_word_tells_every_value_apart(option):
    if option.name in (attributes.BANDWIDTH, attributes.GUARD, attributes.VF):
        # a file of its own (_boot.files)
        return
    words = [option.boot.write(value) for value in (*values(option), option.boot.absent)]
    assert words[0] != words[1] and words[2] == ""


def test_what_a_kernel_does_not_know_is_told_by_its_links():
    without = FOUND._replace(broadcast_queue=None)
    assert attributes.not_in_this_kernel([without]) == [OPTIONS["broadcast_queue"]]
    assert attributes.not_in_this_kernel([without, FOUND._replace(kind="macvlan")]) == []
    # a link of another kind says nothing
    assert attributes.not_in_this_kernel([without._replace(kind="bridge")]) == []


def test_what_later_tasks_keep_is_read_from_the_tag_as_it_was_asked_for():
    settings = {"mtu": 1400, "isolate_host": False, "link_state": "down", "broadcast_queue": 5000, "promiscuous": True}
    kept = {name: settings[name] for name in ("mtu", "isolate_host", "link_state")}
    assert attributes.requested(OwnerTag("web", 0, requested=attributes.to_request(settings))) == kept
    defaults = {"mtu": 0, "isolate_host": True, "link_state": "up", "broadcast_queue": 1000}
    assert attributes.to_request(defaults) == attributes.to_request({}) == ()


@pytest.mark.parametrize(
    "word", [("mtu", "9"), ("mtu", "x"), ("link_state", "low"), ("isolate_host", "1"), ("new", "1")], ids=str
)
def test_a_word_of_the_tag_that_no_option_can_be_is_left_out(word):
    assert attributes.requested(OwnerTag("web", 0, requested=(word,))) == {}
