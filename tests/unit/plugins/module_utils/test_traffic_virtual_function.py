# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a physical function does for a virtual function: asked for, remembered, given back. The kernel: tests/vm."""

from __future__ import annotations

import struct

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.identity import read_tag
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Link, Nic, VirtualFunction
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link import message as wire
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.host import Host
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.resolve import Defaults, resolve
from ansible_collections.linuxnet.macvtap.plugins.module_utils._traffic import virtual_function as vf

DEVICE = Link(20, "enp1s0v0", mac="02:00:00:00:00:20", mtu=1500, flags=1)
FRESH = VirtualFunction(vlan=0, trust=False, spoof_check=True)


def attached(function, asked, found=None, mode="passthrough"):
    """The attachment of a NIC on DEVICE, whose physical function does ``function`` for it."""
    links = {link.ifindex: link for link in (DEVICE, found) if link is not None}
    host = Host(links, virtual_functions={} if function is None else {20: function})
    nic = Nic("web", 0, device="enp1s0v0", mode=mode, settings={"vf": asked})
    return resolve([nic], {}, host, Defaults())[0]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "vf [] is not possible; it has vlan, trust and spoof_check"),
        ({"vlans": 3}, "is not possible; it has vlan, trust and spoof_check"),
        ({"vlan": 4095}, "vf vlan 4095 is not possible; it must be 0 to 4094, and 0 means none"),
        ({"vlan": True}, "vf vlan True is not possible"),
        ({"trust": "yes"}, "vf trust 'yes' is not possible; it must be true or false"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(value, said):
    with pytest.raises(InvalidInput) as refused:
        vf.check(value, "vf")
    assert said in str(refused.value)


def test_what_is_not_asked_for_is_left_as_it_is_and_not_shown():
    made = attached(FRESH, {"vlan": 20, "trust": None})
    assert made.link.vf == VirtualFunction(vlan=20)
    assert read_tag(made.link.alias).vf == "v0"
    for nothing in (None, {}):
        assert attached(FRESH, nothing).link.vf is None
        assert "vf=" not in attached(FRESH, nothing).link.alias


def test_what_there_was_before_the_first_task_is_given_back():
    first = attached(FRESH, {"vlan": 20}).link
    now = FRESH._replace(vlan=20)
    # one more is asked for, the first no longer
    second = attached(now, {"trust": True}, first).link
    assert second.vf == VirtualFunction(vlan=20, trust=True)
    assert vf.given_back(read_tag(second.alias).vf) == VirtualFunction(vlan=0, trust=False)
    # undone: the link as it was
    assert vf.given_back(read_tag(second.alias).vf, first.vf) == VirtualFunction(vlan=20, trust=False)
    assert vf.managed(FRESH, read_tag(second.alias).vf) == VirtualFunction(vlan=0, trust=False)


def test_what_is_not_known_is_not_given_back():
    assert vf.former("v20txs1") == {"vlan": 20, "trust": None, "spoof_check": True}
    assert vf.given_back("v20txs1") == VirtualFunction(vlan=20, spoof_check=True)
    assert vf.former("z9") == {} and vf.given_back("tx") is None


@pytest.mark.parametrize(("function", "mode"), [(None, "passthrough"), (FRESH, "bridge")])
def test_it_is_refused_where_there_is_no_virtual_function_of_its_own(function, mode):
    with pytest.raises(
        InvalidInput, match=rf"guest web nic 0: vf is not possible on enp1s0v0 in mode {mode}: it is for"
    ):
        attached(function, {"vlan": 20}, mode=mode)


def test_what_the_driver_does_not_report_is_refused():
    with pytest.raises(Refused, match="does not report trust; leave it out of vf"):
        attached(FRESH._replace(trust=None), {"trust": True})


def test_messages_say_what_is_set_and_what_there_is():
    def info(number, vlan, priority, trust):
        words = wire.nla(2, struct.pack("=III", number, vlan, priority)) + wire.nla(
            9, struct.pack("=II", number, trust)
        )
        return wire.nla(1, words)

    data = wire.body(7, wire.nla(22, info(0, 20, 3, 1) + info(1, 0, 0, 0xFFFFFFFF)))
    index, found = wire.decode_vfs(data, 0, len(data))
    assert (index, found) == (7, {0: VirtualFunction(20 | 3 << 13, True), 1: VirtualFunction(0)})
    assert vf.show(found[0]) == {"vlan": 20, "trust": True}
    words = wire.nla_vf(1, "vlan", 20 | 3 << 13)
    # of a list of informations, each a list of words
    assert words[12:] == struct.pack("=III", 1, 20, 3) and words[8:12] == struct.pack("=HH", 16, 2)
