# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From NICs as asked for to attachments: device, MAC, name and ifindex."""

from __future__ import annotations

from itertools import islice

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core import identity
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import (
    IFF_ALLMULTI,
    IFF_NOARP,
    IFF_PROMISC,
    IFF_UP,
    MAKING_GROUP,
    Network,
    Nic,
    Node,
    OwnerTag,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.resolve import (
    Defaults,
    moved,
    number_nics,
    requests,
    resolve,
)
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.scene import (
    ETH0,
    ETH1,
    host,
    macvtap,
    nic_of_host,
)

NETWORKS = {
    "vepanet": Network("vepanet", "vepa", ("eth0", "eth1")),
    "exclusive": Network("exclusive", "passthrough", ("eth0", "eth1")),
}
WEB_INDEX, NEXT_INDEX = islice(identity.derived_indexes("web", 0), 2)
WEB_MAC, NEXT_MAC = islice(identity.derived_macs("02", "web", 0), 2)


def resolved(there, *nics, leaving=(), **defaults):
    return resolve(number_nics(nics, None), NETWORKS, there, Defaults(**defaults), leaving)


def one(there, *nics, **defaults):
    return resolved(there, *nics, **defaults)[0]


# -- numbering ---------------------------------------------------------------------------------------------------------


def test_nics_are_numbered_within_their_guest_in_order_of_appearance():
    nics = number_nics([Nic("web"), Nic("db"), Nic(None)], "web")
    assert [(nic.guest, nic.nic) for nic in nics] == [("web", 0), ("db", 0), ("web", 1)]


def test_a_given_number_stays():
    assert [nic.nic for nic in number_nics([Nic("web", 7), Nic("web")], None)] == [7, 1]


def test_a_nic_without_guest_is_refused_with_its_place():
    with pytest.raises(InvalidInput, match=r"attachments\[0\]"):
        number_nics([Nic(None, origin="attachments[0]")], None)


def test_for_a_selection_a_nic_needs_no_guest():
    assert number_nics([Nic(None, mac="02:00:00:00:00:01")], None, required=False)[0].nic is None


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (Nic("web", 0), "guest web has two NICs number 0"),
        (Nic("db", ifname="web0"), "ifname web0"),
    ],
)
def test_the_same_number_or_name_twice_is_refused(second, words):
    with pytest.raises(InvalidInput, match=words):
        number_nics([Nic("web", mac="02:00:00:00:00:01", ifname="web0"), second], None)


def test_a_mac_may_be_asked_for_once_on_each_lower_device():
    mac = "02:00:00:00:00:01"
    web, other = Nic("web", device="eth0", mac=mac), Nic("web", device="eth1", mac=mac)
    assert [each.link.mac for each in resolved(host(), web, other)] == [mac, mac]
    with pytest.raises(InvalidInput, match=rf"MAC {mac} is asked for twice on eth0: in guest web nic 0 and guest db"):
        resolved(host(), web, Nic("db", device="eth0", mac=mac))


# -- the lower device --------------------------------------------------------------------------------------------------


def test_a_device_given_is_taken_in_mode_vepa():
    attachment = one(host(), Nic("web", device="eth1"))
    assert (attachment.device, attachment.link.lower, attachment.link.mode) == ("eth1", ETH1, "vepa")


def test_a_network_gives_mode_and_device():
    attachment = one(host(), Nic("web", network="vepanet"))
    assert (attachment.network, attachment.device, attachment.link.mode) == ("vepanet", "eth0", "vepa")


def test_neither_network_nor_device_is_refused():
    with pytest.raises(InvalidInput, match=r"guest web nic 0.*neither a network nor a device"):
        one(host(), Nic("web"))


def test_an_undefined_network_is_refused_with_those_that_are_defined():
    with pytest.raises(InvalidInput, match=r"'nonet'.*'exclusive', 'vepanet'"):
        one(host(), Nic("web", network="nonet"))


def test_the_least_used_device_of_a_pool_is_taken():
    there = host(macvtap(10, "macvtap0", "db"))
    assert one(there, Nic("web", network="vepanet")).device == "eth1"


def test_ties_go_in_the_order_of_the_pool():
    nics = [Nic(guest, network="vepanet") for guest in ("a", "b", "c", "d")]
    assert [attachment.device for attachment in resolved(host(), *nics)] == ["eth0", "eth1", "eth0", "eth1"]


def test_what_others_have_on_a_device_counts_too():
    there = host(macvtap(10, "x", kind="macvlan"))
    assert one(there, Nic("web", network="vepanet")).device == "eth1"


def test_an_attached_nic_keeps_its_device_however_full_it_is():
    there = host(macvtap(10, "a", "web", 0, "vepanet"), macvtap(11, "b", "db"), macvtap(12, "c", "x"))
    assert one(there, Nic("web", network="vepanet")).device == "eth0"


def test_links_that_leave_do_not_count():
    leaving = macvtap(10, "macvtap0", "db")
    assert resolved(host(leaving), Nic("web", network="vepanet"), leaving=[leaving])[0].device == "eth0"


def test_passthrough_takes_a_device_with_nobody_on_it():
    there = host(macvtap(10, "macvtap0", "db"))
    assert one(there, Nic("web", network="exclusive")).device == "eth1"


def test_an_exhausted_pool_is_refused_with_who_holds_what():
    there = host(macvtap(10, "a", "db", mode="passthrough"), macvtap(11, "b", lower=ETH1))
    with pytest.raises(Refused, match=r"eth0 by a \(guest db nic 0\).*eth1 by b"):
        one(there, Nic("web", network="exclusive"))


def test_two_guests_for_one_passthrough_device_are_refused():
    wanted = [Nic(guest, device="eth0", mode="passthrough") for guest in ("web", "db")]
    with pytest.raises((InvalidInput, Refused), match="eth0"):
        resolved(host(), *wanted)


# -- MAC ---------------------------------------------------------------------------------------------------------------


def test_a_mac_is_derived_from_guest_and_nic():
    assert one(host(), Nic("web", device="eth0")).link.mac == WEB_MAC


def test_a_derived_mac_that_is_taken_is_stepped_over():
    there = host(macvtap(10, "x", mac=WEB_MAC))
    assert one(there, Nic("web", device="eth0")).link.mac == NEXT_MAC


def test_a_derived_mac_that_was_stepped_to_is_kept():
    there = host(macvtap(10, "macvtap0", "web", mac=NEXT_MAC))
    assert one(there, Nic("web", device="eth0")).link.mac == NEXT_MAC


def test_a_mac_that_somebody_else_has_on_the_device_is_refused_by_name():
    there = host(macvtap(10, "x", mac="02:00:00:00:00:01"))
    with pytest.raises(Refused, match=r"02:00:00:00:00:01.*eth0.*x \(macvtap, no owner tag\)"):
        one(there, Nic("web", device="eth0", mac="02:00:00:00:00:01"))


def test_the_same_mac_on_another_device_is_no_matter():
    there = host(macvtap(10, "x", mac="02:00:00:00:00:01", lower=ETH1))
    assert one(there, Nic("web", device="eth0", mac="02:00:00:00:00:01")).link.mac == "02:00:00:00:00:01"


def test_the_mac_of_the_lower_device_is_refused():
    with pytest.raises(InvalidInput, match="lower device eth0"):
        one(host(), Nic("web", device="eth0", mac="52:54:00:00:00:02"))


def test_passthrough_may_have_the_mac_of_the_lower_device():
    nic = Nic("web", device="eth0", mode="passthrough", mac="52:54:00:00:00:02")
    assert one(host(), nic).link.mac == "52:54:00:00:00:02"


# -- name --------------------------------------------------------------------------------------------------------------


def test_the_first_free_name_is_taken():
    there = host(macvtap(10, "macvtap0"), nic_of_host(11, "macvtap1"))
    names = [attachment.link.name for attachment in resolved(there, Nic("a", device="eth1"), Nic("b", device="eth1"))]
    assert names == ["macvtap2", "macvtap3"]


def test_an_existing_link_keeps_its_name():
    assert one(host(macvtap(10, "old0", "web")), Nic("web", device="eth0")).link.name == "old0"


def test_a_name_asked_for_is_given_and_not_to_another():
    asked = [Nic("a", device="eth0"), Nic("b", device="eth0", ifname="macvtap0")]
    assert [attachment.link.name for attachment in resolved(host(), *asked)] == ["macvtap1", "macvtap0"]


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(Refused, match="eth1"):
        one(host(), Nic("web", device="eth0", ifname="eth1"))


# -- ifindex -----------------------------------------------------------------------------------------------------------


def test_an_ifindex_is_derived_from_guest_and_nic():
    assert one(host(), Nic("web", device="eth0")).link.ifindex == WEB_INDEX


def test_an_ifindex_that_is_taken_is_stepped_over():
    there = host(nic_of_host(WEB_INDEX, "x"))
    assert one(there, Nic("web", device="eth0")).link.ifindex == NEXT_INDEX


def test_an_ifindex_whose_path_is_another_namespaces_tap_is_stepped_over():
    node = Node("/dev/tap%d" % WEB_INDEX, "character device", 246, 1, tap="tap%d" % WEB_INDEX, is_tap=True)
    assert one(host(nodes={WEB_INDEX: node}), Nic("web", device="eth0")).link.ifindex == NEXT_INDEX


def test_a_stale_node_keeps_nobody_from_its_path():
    node = Node("/dev/tap%d" % WEB_INDEX, "character device", 246, 1, is_tap=True)
    assert one(host(nodes={WEB_INDEX: node}), Nic("web", device="eth0")).link.ifindex == WEB_INDEX


@pytest.mark.parametrize("kind", ["regular file", "directory", "symbolic link"])
def test_what_lies_at_the_path_and_is_no_device_is_refused(kind):
    node = Node("/dev/tap%d" % WEB_INDEX, kind)
    with pytest.raises(Refused, match="%s exists at /dev/tap%d" % (kind, WEB_INDEX)):
        one(host(nodes={WEB_INDEX: node}), Nic("web", device="eth0"))


PROMISED = {("web", 0): NEXT_INDEX}
ANOTHERS = Node("/dev/tap%d" % NEXT_INDEX, "character device", 246, 1, tap="tap%d" % NEXT_INDEX, is_tap=True)


def with_promises(there, *nics):
    return [made.link.ifindex for made in resolve(number_nics(nics, None), {}, there, Defaults(), (), PROMISED)]


def test_a_nic_gets_the_index_that_the_next_boot_gives_it_and_nobody_else_does():
    assert with_promises(host(), Nic("web", device="eth0")) == [NEXT_INDEX]
    # a link that is there keeps its own
    assert with_promises(host(macvtap(10, "old0", "web")), Nic("web", device="eth0")) == [10]
    other = {("db", 0): WEB_INDEX}
    made = resolve(number_nics([Nic("web", device="eth0")], None), {}, host(), Defaults(), (), other)
    assert made[0].link.ifindex == NEXT_INDEX


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (host(nic_of_host(NEXT_INDEX, "x")), r"in use: x \(link, no owner tag\) has the interface index"),
        (host(nodes={NEXT_INDEX: ANOTHERS}), r"in use: /dev/tap\d+ is device 246:1, the tap of a link in another"),
        (
            host(nodes={NEXT_INDEX: ANOTHERS._replace(major=1, tap=None, is_tap=False)}),
            r"in use: a character device lies at /dev/tap.*, device 1:1",
        ),
    ],
    ids=["link", "tap", "device"],
)
def test_a_promised_index_that_is_taken_is_no_reason_to_take_another(there, words):
    with pytest.raises(Refused, match=words):
        with_promises(there, Nic("web", device="eth0"))


def test_who_does_not_get_the_derived_index_is_told_what_has_it():
    there = host(nic_of_host(WEB_INDEX, "x"))
    made = resolved(there, Nic("web", device="eth0"), Nic("db", device="eth0"))
    assert moved(made, there, {}) == [
        ("web", 0, NEXT_INDEX, WEB_INDEX, "x (link, no owner tag) has the interface index")
    ]
    assert moved(made, there, PROMISED) == []
    assert moved(made, host(), {})[0][-1] == "it is promised to another NIC"


def test_without_stable_index_it_counts_up_from_the_highest():
    there = host(nic_of_host(500, "x"))
    assert one(there, Nic("web", device="eth0"), stable_index=False).link.ifindex == 501


def test_an_existing_link_keeps_its_ifindex():
    assert one(host(macvtap(10, "old0", "web")), Nic("web", device="eth0")).link.ifindex == 10


# -- an unmarked link --------------------------------------------------------------------------------------------------


def test_a_link_that_a_killed_run_left_unmarked_is_adopted():
    left = macvtap(WEB_INDEX, "macvtap0", mac=WEB_MAC)
    assert one(host(left), Nic("web", device="eth0")).found == left


def test_a_link_of_the_wanted_name_and_mac_is_adopted():
    left = macvtap(10, "web0", mac="02:00:00:00:00:01")
    assert one(host(left), Nic("web", device="eth0", ifname="web0", mac="02:00:00:00:00:01")).found == left


@pytest.mark.parametrize(
    "change", [{"lower": ETH1}, {"mac": "02:00:00:00:00:09"}, {"kind": "macvlan"}, {"lower_netnsid": 0}]
)
def test_a_link_that_differs_in_device_mac_or_kind_is_not_adopted(change):
    left = macvtap(WEB_INDEX, "macvtap0", mac=WEB_MAC)._replace(**change)
    assert one(host(left), Nic("web", device="eth0")).found is None


def test_a_passthrough_link_of_somebody_else_is_not_adopted_for_its_name():
    left = macvtap(10, "web0", mode="passthrough", mac="02:00:00:00:00:09")
    with pytest.raises(Refused, match="web0"):
        one(host(left), Nic("web", network="vepanet", ifname="web0"))


def test_two_nics_never_adopt_the_same_link():
    left = macvtap(10, "macvtap0", mode="passthrough", group=MAKING_GROUP, mac="52:54:00:00:00:02")
    second = left._replace(ifindex=11, name="macvtap1", lower=ETH1, mac="52:54:00:00:00:03")
    found = [a.found for a in resolved(host(left, second), *[Nic(guest, network="exclusive") for guest in ("a", "b")])]
    assert found == [left, second]


def test_a_link_marked_for_another_is_not_adopted():
    left = macvtap(WEB_INDEX, "macvtap0", "db", mac=WEB_MAC)
    assert one(host(left), Nic("web", device="eth0")).found is None


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_the_mtu_follows_the_lower_device():
    there = host(nic_of_host(20, "jumbo0", mtu=9000))
    assert one(there, Nic("web", device="jumbo0")).link.mtu == 9000


@pytest.mark.parametrize("mtu", [67, 1501])
def test_an_mtu_that_cannot_be_is_refused_with_the_bounds(mtu):
    with pytest.raises(InvalidInput, match="%d.*68 to 1500" % mtu):
        one(host(), Nic("web", device="eth0", settings={"mtu": mtu}))


def test_a_link_is_up_silent_and_hears_all_multicast_by_default():
    link = one(host(), Nic("web", device="eth0")).link
    assert link.flags == IFF_UP | IFF_NOARP | IFF_ALLMULTI
    assert link.ipv6_disabled is True


def test_every_wish_about_flags_is_heard():
    settings = {"allmulticast": False, "promiscuous": True, "link_state": "down", "isolate_host": False}
    link = one(host(), Nic("web", device="eth0", settings=settings)).link
    assert (link.flags, link.ipv6_disabled) == (IFF_PROMISC, False)


def test_a_broadcast_queue_is_that_of_the_kernel_unless_asked_for():
    assert one(host(), Nic("web", device="eth0")).link.broadcast_queue == 1000
    assert one(host(), Nic("web", device="eth0", settings={"broadcast_queue": 7})).link.broadcast_queue == 7


def test_a_kernel_without_broadcast_queues_is_asked_for_none():
    there = host(macvtap(10, "old0", "db", broadcast_queue=None))
    assert one(there, Nic("web", device="eth0")).link.broadcast_queue is None
    with pytest.raises(Refused, match=r"guest web nic 0: broadcast_queue needs Linux 5\.11 or later, and no macvtap"):
        one(there, Nic("web", device="eth0", settings={"broadcast_queue": 1000}))


def test_one_macvtap_that_has_a_broadcast_queue_shows_that_the_kernel_does():
    there = host(macvtap(10, "old0", "db"), macvtap(11, "old1", "mail", broadcast_queue=None))
    assert one(there, Nic("web", device="eth0", settings={"broadcast_queue": 7})).link.broadcast_queue == 7


def test_the_mark_says_guest_nic_network_and_queues():
    link = one(host(), Nic("web", 3, network="vepanet", queues=2)).link
    assert identity.read_tag(link.alias) == OwnerTag("web", 3, "vepanet", 2)


def test_attachments_come_in_the_order_asked():
    asked = [Nic("db", device="eth0"), Nic("web", 1, device="eth0"), Nic("web", 0, device="eth0")]
    assert [(a.guest, a.nic) for a in resolved(host(), *asked)] == [("db", 0), ("web", 1), ("web", 0)]


# -- what earlier tasks asked for --------------------------------------------------------------------------------------

REQUESTED = (("mtu", "1400"), ("isolate_host", "false"), ("link_state", "down"))


def tagged(*requested, **facts):
    alias = identity.tag_text(OwnerTag("web", 0, requested=requested))
    return macvtap(10, "macvtap0", "web", alias=alias, **facts)


def test_what_is_not_mentioned_stays_as_it_was_asked_for_and_is_told():
    there = host(tagged(*REQUESTED))
    attachment = one(there, Nic("web", device="eth0"))
    link = attachment.link
    assert (link.mtu, link.is_up, bool(link.flags & IFF_NOARP), link.ipv6_disabled) == (1400, False, False, False)
    assert link.alias == there.by_name["macvtap0"].alias
    assert attachment.kept == {"mtu": 1400, "isolate_host": False, "link_state": "down"}


def test_what_is_mentioned_is_so_and_kept_from_then_on():
    settings = {"mtu": 0, "isolate_host": True, "link_state": "up"}
    attachment = one(host(tagged(*REQUESTED)), Nic("web", device="eth0", settings=settings))
    assert (attachment.link.mtu, attachment.link.is_up, attachment.kept) == (1500, True, {})
    assert attachment.link.alias == identity.tag_text(OwnerTag("web", 0))
    again = one(host(tagged()), Nic("web", device="eth0", settings={"mtu": 1300}))
    assert identity.read_tag(again.link.alias).requested == (("mtu", "1300"),)


def test_an_mtu_that_the_lower_device_cannot_have_any_more_follows_it_and_is_not_forgotten():
    attachment = one(host(tagged(("mtu", "9000"))), Nic("web", device="eth0"))
    assert (attachment.link.mtu, attachment.kept) == (1500, {})
    assert identity.read_tag(attachment.link.alias).requested == (("mtu", "9000"),)


# -- devices with and without a carrier --------------------------------------------------------------------------------


def without_carrier(index, name, flags=IFF_UP):
    return nic_of_host(index, name, flags=flags)


@pytest.mark.parametrize("flags", [0, IFF_UP], ids=["down", "no carrier"])
def test_a_device_without_a_carrier_comes_last(flags):
    there = host(without_carrier(ETH0, "eth0", flags), macvtap(10, "x", "db", lower=ETH1))
    assert one(there, Nic("web", network="vepanet")).device == "eth1"


def test_one_that_is_down_may_have_a_carrier_and_comes_before_one_that_has_none():
    there = host(without_carrier(ETH0, "eth0"), without_carrier(ETH1, "eth1", 0))
    assert one(there, Nic("web", network="vepanet")).device == "eth1"


def test_rebalance_leaves_a_dead_device_for_a_living_one_only():
    dead, link = without_carrier(ETH0, "eth0"), macvtap(10, "macvtap0", "web", network="vepanet")

    def rebalanced(*links):
        return one(host(*links), Nic("web", network="vepanet"), rebalance=True).device

    assert one(host(dead, link), Nic("web", network="vepanet")).device == "eth0"
    assert rebalanced(dead, link) == "eth1"
    assert rebalanced(dead, without_carrier(ETH1, "eth1"), link) == "eth0"
    assert rebalanced(link) == "eth0"


def test_a_link_on_a_device_that_may_be_the_missing_one_renamed_stays_unless_rebalanced():
    networks = {"vepanet": Network("vepanet", "vepa", ("eth9", "eth1"), defined_with=("eth9", "eth1"))}
    there = host(macvtap(10, "macvtap0", "web", network="vepanet"))
    for rebalance, device in ((False, "eth0"), (True, "eth1")):
        (made,) = resolve([Nic("web", 0, network="vepanet")], networks, there, Defaults(rebalance=rebalance))
        assert made.device == there.links[made.link.lower].name == device


def test_what_earlier_tasks_asked_for_at_the_first_look_holds_for_the_whole_run():
    """The link was deleted to be created again, and another program was faster: its tag is gone."""
    earlier = requests(host(tagged(*REQUESTED)))
    nics = [Nic("web", 0, network="vepanet")]
    (made,) = resolve(nics, NETWORKS, host(), Defaults(), earlier=earlier)
    assert (made.link.mtu, identity.read_tag(made.link.alias).requested) == (1400, REQUESTED)


def test_a_reserved_name_is_left_unless_it_is_asked_for():
    there = host(macvtap(7, "macvtap0", "web"))

    def names(*nics):
        made = resolve(number_nics(nics, None), {}, there, Defaults(), reserved={"macvtap0"})
        return [each.link.name for each in made]

    assert names(Nic("web", device="eth0"), Nic("db", device="eth0")) == ["macvtap1", "macvtap2"]
    assert names(Nic("web", device="eth0", ifname="macvtap0")) == ["macvtap0"]
