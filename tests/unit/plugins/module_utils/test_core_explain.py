# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an errno means for somebody who attaches guests."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.explain import explain, why
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Link

LINK = Link(9, "macvtap0", mac="02:00:00:00:00:01")


def test_link_verb_cause_errno_and_way_out_are_said():
    text = explain("make", LINK, errno.EBUSY)
    for part in ("cannot make link macvtap0", "ifindex 9", "02:00:00:00:00:01", "bridge", "EBUSY", "ip -d link"):
        assert part in text


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EEXIST, "taken"),
        (errno.ENODEV, "vanished"),
        (errno.EINVAL, "passthrough"),
        (errno.EADDRINUSE, "lower device"),
        (errno.EADDRNOTAVAIL, "multicast"),
        (errno.ERANGE, "too long"),
        (errno.EOPNOTSUPP, "modprobe macvtap"),
        (errno.EOVERFLOW, "counter of the lower device"),
        (errno.EPERM, "become"),
    ],
)
def test_each_errno_of_macvtap_has_its_own_words(number, words):
    assert words in why(number)


@pytest.mark.parametrize(
    ("number", "name", "words"),
    [
        (errno.EBUSY, "ifname", "renames a link only while it is down"),
        (errno.EOPNOTSUPP, "mac", "does not support another MAC"),
        (errno.EADDRNOTAVAIL, "mac", "have the owner trust it (ip link set dev PF vf N trust on)"),
    ],
)
def test_an_attribute_of_a_link_that_exists_has_its_own_words(number, name, words):
    assert words in why(number, names=("mark", name, "link_state"))
    assert words not in why(number) and words not in why(number, names=("mtu",))


def test_the_kernels_own_words_are_passed_on():
    assert "Attribute failed policy validation" in why(errno.ERANGE, "Attribute failed policy validation")


def test_an_unknown_errno_is_named():
    assert "ELOOP" in why(errno.ELOOP)
    assert "4242" in why(4242)
