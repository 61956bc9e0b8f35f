# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A tap that a process holds open: not cut off and not given to another guest."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.identity import derived_indexes, tag_text
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import (
    MAKING_GROUP,
    Holder,
    Nic,
    NodePolicy,
    OwnerTag,
    Tap,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.in_use import (
    Conflict,
    admits,
    doubts,
    new_owner,
    require_certainty,
    require_free,
    taps_at_stake,
    taps_that_change_hands,
    with_keepers,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.plan import Plan
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.resolve import Defaults, number_nics, resolve
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.steps import ChangeLink, DeleteLink, OwnNode
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system.holders import Look
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.warnings import of_kept_taps
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.scene import host, macvtap

POLICY = NodePolicy("/dev")
LINK = macvtap(10, "macvtap0", "web")
QEMU, CAT = Holder(4711, "qemu"), Holder(4712, "cat")
INDEX = next(derived_indexes("web", 0))


def deletion(link=LINK, because=""):
    tap = Tap((246, link.ifindex % 1000), None)
    return DeleteLink(link, "eth0", f"/dev/tap{link.ifindex}", tap, because)


def marking(old, guest="web", nic=0):
    return ChangeLink(old, old._replace(alias=tag_text(OwnerTag(guest, nic)), group=0), ("mark",))


def test_a_held_tap_keeps_its_link_and_its_holders_are_named():
    with pytest.raises(Refused, match=r"removed.*macvtap0.*pid 4711 \(qemu\), pid 4712 \(cat\).*force=true"):
        require_free(Plan(delete=[deletion()]), {10: [QEMU, CAT]}, POLICY)


def test_a_held_tap_keeps_its_link_from_being_made_again():
    with pytest.raises(Refused, match="recreated"):
        require_free(Plan(delete=[deletion(because="device eth0 -> eth1")]), {10: [QEMU]}, POLICY)


def test_processes_that_cannot_be_looked_at_may_hold_any_tap():
    unseen = Look({}, {}, [QEMU] * 8, [CAT], 7, True, unaccounted=2)
    assert doubts(Look({}, {}, [], [])) == []
    require_certainty([])
    with pytest.raises(Refused) as caught:
        require_certainty(doubts(unseen))
    for words in (
        "and 3 more are not readable",
        "pid 4712 (cat) has descriptors in flight",
        "7 processes were not examined",
        "of this PID namespace",
        "2 openings of macvtap devices are of processes",
        "CAP_NET_ADMIN on the host, or set force=true",
    ):
        assert words in str(caught.value)


def test_where_every_open_tap_is_accounted_for_there_is_no_doubt():
    assert doubts(Look({}, {}, [QEMU], [CAT], 7, True, unaccounted=0)) == []
    with pytest.raises(Refused, match=r"on the host$"):
        require_certainty(doubts(Look({}, {}, [], [], unaccounted=1)), can_force=False)


def test_a_holder_that_nobody_sees_is_told_as_such():
    with pytest.raises(Refused, match=r"macvtap0 is held open by a process that /proc does not show here"):
        require_free(Plan(delete=[deletion()]), {10: []}, POLICY)


@pytest.mark.parametrize(
    ("owner", "holder", "is_admitted"),
    [
        ((1001, 0, 0o600), Holder(1, "a", 1000), False),
        ((1001, 0, 0o600), Holder(1, "a", 1001), True),
        ((1001, 0, 0o600), Holder(1, "a", 0), True),
        ((1001, 108, 0o660), Holder(1, "a", 1000, frozenset([108])), True),
        ((1001, 108, 0o600), Holder(1, "a", 1000, frozenset([108])), False),
        ((1001, 108, 0o606), Holder(1, "a", 1000), True),
        ((1001, 108, 0o606), Holder(1, "a", 1000, frozenset([108])), False),
    ],
)
def test_whom_the_owner_and_mode_of_a_node_admit(owner, holder, is_admitted):
    assert admits(owner, holder) == is_admitted


@pytest.mark.parametrize(
    ("holders", "kept"),
    [
        ([], "a process that /proc does not show here"),
        ([Holder(7, "qemu", 1000), Holder(8, "cat", 1001)], "pid 7 (qemu) of user 1000"),
        ([Holder(8, "cat", 1001), Holder(9, "sh")], ""),
    ],
)
def test_a_change_of_owner_names_who_keeps_the_tap(holders, kept):
    step = OwnNode("/dev/tap10", (246, 10), (1000, 0, 0o600), (1001, 0, 0o600))
    plan = Plan(nodes=[step])
    assert taps_that_change_hands(plan, {10: Tap((246, 10), None), 11: Tap((246, 11), None)}) == {10: (246, 10)}
    (known,) = with_keepers(plan, {(246, 10): holders}).nodes
    assert known.kept.startswith(kept) and bool(known.kept) == bool(kept)
    assert [kept in warning for warning in of_kept_taps([(known.path, known.kept)])] == ([True] if kept else [])
    assert ("keeps open" in known.describe()) == bool(kept)
    assert with_keepers(plan, {}) == plan


def test_of_many_held_taps_some_are_named_and_the_rest_counted():
    links = [macvtap(n, "macvtap%d" % n) for n in range(10, 18)]
    with pytest.raises(Refused, match=r"macvtap14.*and 3 more"):
        require_free(Plan(delete=[deletion(link) for link in links]), {n: [QEMU] for n in range(10, 18)}, POLICY)


def test_changes_in_place_do_not_mind_holders():
    step = ChangeLink(LINK, LINK._replace(mode="bridge"), ("mode",))
    assert taps_at_stake(Plan(change=[step]), {10: Tap((246, 3), None)}) == {}
    require_free(Plan(change=[step]), {10: [QEMU]}, POLICY)


def test_a_link_without_mark_that_name_and_mac_give_to_a_guest_must_not_be_held():
    plan = Plan(change=[marking(macvtap(10, "web0"))])
    assert taps_at_stake(plan, {10: Tap((246, 3), None)}) == {10: (246, 3)}
    with pytest.raises(
        Refused, match=r"web0 would be assigned to guest web nic 0.* /dev/tap10 .*pid 4711 \(qemu\).*force=true"
    ):
        require_free(plan, {10: [QEMU]}, POLICY)
    require_free(plan, {}, POLICY)


@pytest.mark.parametrize(
    ("old", "is_certain"),
    [
        (macvtap(INDEX, "web0"), True),
        (macvtap(INDEX + 15, "web0"), True),
        (macvtap(INDEX + 16, "web0"), False),
        (macvtap(INDEX, "web0", group=MAKING_GROUP), False),
        (macvtap(INDEX, "web0", "db"), False),
        (macvtap(INDEX, "web0", "web", 1), False),
        (macvtap(12, "web0", "web", network="other"), True),
    ],
)
def test_whose_a_link_was_is_certain_by_its_mark_or_its_derived_index(old, is_certain):
    assert (new_owner(marking(old)) is None) == is_certain


def test_a_link_in_the_way_is_told_with_who_holds_its_tap():
    there = host(macvtap(10, "web0", "web", mac="02:00:00:00:00:01"))
    for wish in ({"mac": "02:00:00:00:00:01"}, {"ifname": "web0"}):
        with pytest.raises(Conflict, match=r"(by web0 \(guest web nic 0\)|the name web0 belongs to)") as caught:
            resolve(number_nics([Nic("db", device="eth0", **wish)], None), {}, there, Defaults())
        assert caught.value.link.name == "web0"
        assert str(caught.value.held_by([QEMU], "/dev/tap10")).endswith(
            "in use: its tap /dev/tap10 is held open by pid 4711 (qemu)"
        )


def test_of_two_links_with_one_mark_the_likelier_index_decides_and_none_decides_nothing():
    strangers = [macvtap(10, "a0", "web"), macvtap(11, "a1", "web"), macvtap(12, "a2", "web")]
    likely, likelier = macvtap(INDEX + 3, "w3", "web"), macvtap(INDEX, "w0", "web")
    assert host(*strangers).duplicates == {("web", 0): strangers}
    for links in ([*strangers, likely, likelier], [likelier, likely, *strangers]):
        assert host(*links).owned["web", 0].link == likelier and host(*links).duplicates == {}
    with pytest.raises(Refused, match="guest web nic 0: a0 and a1 carry its owner tag"):
        resolve(number_nics([Nic("web", device="eth0")], None), {}, host(*strangers[:2]), Defaults())
