# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Marks, and the MACs and ifindexes derived from guest and nic."""

from __future__ import annotations

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.identity import (
    derived_indexes,
    derived_macs,
    read_tag,
    tag_text,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import OwnerTag

names = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=20)
requests = st.just(()) | st.just((("mtu", "1400"), ("isolate_host", "false")))
guards = st.just("") | st.from_regex("[0-9a-f]{8}", fullmatch=True)
functions = st.sampled_from(["", "v0", "v4094t1sx"])
indexes = st.integers(0, 999_999_999), st.none() | names, st.integers(1, 256)


@given(st.builds(OwnerTag, names, *indexes, requests, guards, functions))
def test_a_mark_is_read_back_as_it_was_written(tag):
    try:
        text = tag_text(tag)
    except InvalidInput:
        return
    read = read_tag(text)
    assert read._replace(requested=()) == tag._replace(requested=())
    assert read.requested == tag.requested or len(f"{text} isolate_host=false") > 255
    assert len(text.encode()) <= 255


def test_a_mark_is_plain_to_read():
    assert tag_text(OwnerTag("web", 0, "vepanet")) == "linuxnet.macvtap guest=web nic=0 network=vepanet"


def test_more_than_one_queue_is_said():
    assert tag_text(OwnerTag("web", 0, None, 4)) == "linuxnet.macvtap guest=web nic=0 queues=4"


def test_what_was_requested_is_said_as_far_as_there_is_room():
    requested = (("mtu", "1400"), ("isolate_host", "false"), ("link_state", "down"))
    text = tag_text(OwnerTag("web", 0, "n", 4, requested))
    assert text == "linuxnet.macvtap guest=web nic=0 network=n queues=4 mtu=1400 isolate_host=false link_state=down"
    assert read_tag(tag_text(OwnerTag("x" * 210, 0, requested=requested))).requested == requested[:1]


def test_blanks_and_equal_signs_in_names_are_encoded():
    assert tag_text(OwnerTag("a b=c%", 1)) == "linuxnet.macvtap guest=a%20b%3Dc%25 nic=1"


def test_a_mark_may_fill_the_alias_to_the_last_byte():
    room = 255 - len(tag_text(OwnerTag("", 0)))
    assert len(tag_text(OwnerTag("x" * room, 0))) == 255
    with pytest.raises(InvalidInput):
        tag_text(OwnerTag("x" * (room + 1), 0))


def test_a_mark_that_does_not_fit_the_alias_is_refused_by_name():
    with pytest.raises(InvalidInput, match=r"guest name 'ü+'.*255"):
        tag_text(OwnerTag("ü" * 60, 0))


@pytest.mark.parametrize(
    "alias",
    [
        "",
        "uplink to rack 7",
        "linuxnet.macvtap",
        "linuxnet.macvtap guest=web",
        "linuxnet.macvtap guest= nic=0",
        "linuxnet.macvtap guest=web nic=x",
        "linuxnet.macvtap guest=web nic=0 and more",
        "xlinuxnet.macvtap guest=web nic=0",
        "linuxnet.macvtap guest=web nic=0\n",
        "linuxnet.macvtap guest=web nic=1234567890",
    ],
)
def test_any_other_alias_is_no_mark(alias):
    assert read_tag(alias) is None


@pytest.mark.parametrize("prefix", ["02", "52:54:00", "52:54:00:aa:bb"])
def test_a_derived_mac_begins_with_the_prefix_and_is_a_mac(prefix):
    macs = list(derived_macs(prefix, "web", 0))
    assert all(mac.startswith(prefix + ":") and len(mac) == 17 for mac in macs)


def test_derived_macs_and_indexes_never_change():
    # what is on the hosts of users today
    assert next(derived_macs("02", "web", 0)) == "02:f4:f4:22:c3:6e"
    assert list(islice(derived_indexes("web", 0), 2)) == [1768607930, 1768607931]


def test_nics_and_guests_differ_in_mac_and_index():
    keys = [("web", 0), ("web", 1), ("db", 0), ("web0", 0)]
    assert len({next(derived_macs("02", *key)) for key in keys}) == len(keys)
    assert len({next(derived_indexes(*key)) for key in keys}) == len(keys)


@given(names, st.integers(0, 999))
def test_derived_indexes_are_positive_and_far_from_those_the_kernel_counts(guest, nic):
    for index in islice(derived_indexes(guest, nic), 20):
        assert 2**30 <= index < 2**31


def test_a_name_that_is_no_unicode_text_still_has_an_identity():
    assert next(derived_indexes("\udcff", 0)) >= 2**30
