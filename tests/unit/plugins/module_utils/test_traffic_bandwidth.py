# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bandwidth: what a value means, and a kernel that cannot limit it."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Bandwidth, Link, Shape
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link import tc
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system import shaping
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system.netlink import Reply
from ansible_collections.linuxnet.macvtap.plugins.module_utils._traffic import bandwidth


@pytest.mark.parametrize(
    ("value", "mtu", "shape"),
    [
        # two frames, in whole KiB
        ({"average": 64}, 1500, (65536, 0, 3072)),
        ({"average": 64}, 9000, (65536, 0, 18432)),
        # 10 ms
        ({"average": 100000}, 1500, (102400000, 0, 1024000)),
        # a bucket smaller than a frame would let none through
        ({"average": 64, "burst": 1}, 1500, (65536, 0, 2048)),
        ({"average": 64, "burst": 1}, 65535, (65536, 0, 66560)),
        ({"average": 64, "burst": 100}, 1500, (65536, 0, 102400)),
        ({"average": 64, "peak": 65}, 1500, (65536, 66560, 3072)),
        # a peak that is the average limits no burst: it is the rate of the wire
        ({"average": 64, "peak": 64}, 1500, (65536, 0, 3072)),
        ({"average": (1 << 32) - 1}, 1500, (((1 << 32) - 1) * 1024, 0, ((1 << 32) - 1) // 100 * 1024)),
    ],
)
def test_what_a_limit_means_for_a_link(value, mtu, shape):
    bandwidth.check({"outbound": value}, "bandwidth")
    assert bandwidth.wanted({"outbound": value}, mtu) == Bandwidth(None, Shape(*shape))


@pytest.mark.parametrize("value", [None, {}, {"inbound": None, "outbound": None}])
def test_what_limits_nothing_is_no_limit(value):
    assert bandwidth.wanted(value, 1500) is None


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("1mbit", "bandwidth '1mbit' is not possible; it has inbound, outbound or both"),
        ({"upload": {"average": 1}}, "it has inbound, outbound or both"),
        ({"inbound": {"average": 1, "floor": 1}}, "inbound .* is not possible; it has average, peak and burst"),
        ({"inbound": {}}, "inbound average None is not possible; it must be 1 to 4294967295"),
        ({"inbound": {"average": True}}, "inbound average True is not possible"),
        ({"inbound": {"average": 1 << 32}}, "inbound average 4294967296 is not possible"),
        (
            {"inbound": {"average": 9, "burst": 1 << 22}},
            "inbound burst 4194304 is not possible; it must be 1 to 4194303",
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(value, said):
    with pytest.raises(InvalidInput, match=said):
        bandwidth.check(value, "bandwidth")


def test_an_ifb_is_ours_by_kind_and_name():
    names = ["mvtp0000000a", "mvtpnot-ours", "mvtp0000000aa", "ifb0"]
    links = {number: Link(number, name, kind="ifb") for number, name in enumerate(names, start=1)}
    links[9] = Link(9, "mvtp0000000b", kind="dummy")
    assert tc.ifbs(links) == {10: links[1]}


class Kernel:
    """Answers each request as a kernel that lacks something does, which this machine's does not."""

    def __init__(self, lacks):
        self.lacks = lacks
        self.asked = 0

    def exchange(self, requests, flags):
        self.asked += 1
        return [
            Reply(tc.probes()[self.lacks][2] if request == tc.probes()[self.lacks][:2] else 22) for request in requests
        ]


@pytest.mark.parametrize(
    ("lacks", "said"), [("tbf", "the qdisc tbf"), ("ifb", "links of type ifb"), ("mirred", "the action mirred")]
)
def test_a_kernel_that_cannot_limit_is_refused_by_name(lacks, said):
    wanted = Link(9, "macvtap0", bandwidth=Bandwidth(Shape(1024, 0, 2048)))
    with pytest.raises(Refused, match=f"bandwidth needs {said} .*, which this kernel does not have"):
        shaping.require(Kernel(lacks), [wanted])


def test_without_a_limit_the_kernel_is_not_asked():
    kernel = Kernel("tbf")
    shaping.require(kernel, [Link(9, "macvtap0")])
    assert kernel.asked == 0
