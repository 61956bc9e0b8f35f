# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our packing of link messages against pyroute2's."""

from __future__ import annotations

import struct

import pytest

pytest.importorskip("pyroute2")

from hypothesis import given, settings
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import (
    IFF_ALLMULTI,
    IFF_NOARP,
    IFF_PROMISC,
    IFF_UP,
    Link,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link import message as wire
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.attributes import AT_CREATION, encode
from ansible_collections.linuxnet.macvtap.tests.unit.plugins.module_utils.pyroute2_link import decoded, link_of

PASSTHRU = {"passthrough": "passthru"}

links = st.builds(
    Link,
    ifindex=st.integers(1, 2**31 - 1),
    name=st.text("abcxyz0123456789-_.@", min_size=1, max_size=15),
    kind=st.sampled_from(["macvtap", "macvlan", "bridge", "veth", "vlan", ""]),
    mode=st.sampled_from(["vepa", "bridge", "private", "passthrough", "source"]),
    lower=st.integers(0, 2**31 - 1),
    lower_netnsid=st.none() | st.integers(0, 1000),
    mac=st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":")),
    mtu=st.integers(0, 65536),
    flags=st.integers(0, 2**16 - 1),
    alias=st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=60),
    group=st.integers(0, 2**31 - 1),
    master=st.integers(0, 2**31 - 1),
    operstate=st.sampled_from(["unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"]),
    hardware=st.sampled_from([1, 32, 772, 65534]),
    ipv6_disabled=st.sampled_from([None, True, False]),
    queue_length=st.integers(0, 2**31 - 1),
    qdisc=st.sampled_from(["noqueue", "pfifo_fast", "mq", "fq_codel"]),
    # pyroute2 does not know it
    broadcast_queue=st.none(),
    altnames=st.just(()),
    vlan=st.none() | st.integers(1, 4095),
    permanent_mac=st.just(""),
    # not in the message of a link
    bandwidth=st.none(),
    ifb=st.just(0),
    guard=st.none(),
    vf=st.none(),
)


def encoded(link):
    """The message that pyroute2 makes of a link, as the kernel would send it, without its header."""
    message = ifinfmsg()
    message["index"], message["flags"], message["ifi_type"] = link.ifindex, link.flags, link.hardware
    attributes = [
        ("IFLA_IFNAME", link.name),
        ("IFLA_MTU", link.mtu),
        ("IFLA_OPERSTATE", link.operstate.upper()),
        ("IFLA_GROUP", link.group),
        ("IFLA_ADDRESS", link.mac),
        ("IFLA_QDISC", link.qdisc),
        ("IFLA_TXQLEN", link.queue_length),
        # of no interest here, and between those that are
        ("IFLA_CARRIER", 1),
    ]
    for name, value in (("LINK", link.lower), ("MASTER", link.master), ("IFALIAS", link.alias)):
        if value:
            attributes.append(("IFLA_" + name, value))
    if link.lower_netnsid is not None:
        attributes.append(("IFLA_LINK_NETNSID", link.lower_netnsid))
    if link.kind:
        info = [("IFLA_INFO_KIND", link.kind)]
        if link.kind in ("macvtap", "macvlan"):
            mode = ("IFLA_%s_MODE" % link.kind.upper(), PASSTHRU.get(link.mode, link.mode))
            info.append(("IFLA_INFO_DATA", {"attrs": [mode]}))
        if link.kind == "vlan":
            # another protocol is 802.1ad, whose tags are none of 802.1Q
            protocol = ("IFLA_VLAN_PROTOCOL", 0x88A8 if link.vlan is None else 0x8100)
            info.append(("IFLA_INFO_DATA", {"attrs": [("IFLA_VLAN_ID", link.vlan or 7), protocol]}))
        attributes.append(("IFLA_LINKINFO", {"attrs": info}))
    if link.ipv6_disabled is not None:
        conf = {"attrs": [("IFLA_INET6_CONF", {"disable_ipv6": int(link.ipv6_disabled)})]}
        attributes.append(("IFLA_AF_SPEC", {"attrs": [("AF_INET6", conf)]}))
    message["attrs"] = attributes
    message.encode()
    return bytes(message.data)[16:]


@settings(deadline=None, max_examples=100)
@given(links)
def test_a_message_of_pyroute2_is_decoded_to_the_link_it_was_made_of(link):
    body = encoded(link)
    expected = link if link.kind in ("macvtap", "macvlan") else link._replace(mode=None)
    expected = expected if link.kind == "vlan" else expected._replace(vlan=None)
    assert wire.decode_link(body, 0, len(body)) == expected


@settings(deadline=None, max_examples=50)
@given(links)
def test_a_link_is_decoded_as_pyroute2_does(link):
    body = encoded(link)
    assert wire.decode_link(body, 0, len(body)) == link_of(decoded(body))


@settings(deadline=None, max_examples=50)
@given(links)
def test_the_group_is_found_without_decoding_the_rest(link):
    body = encoded(link)
    assert wire.decode_group(body, 0, len(body)) == (link.ifindex, link.group)


@settings(deadline=None, max_examples=50)
@given(links)
def test_a_message_is_decoded_wherever_it_lies_in_a_datagram(link):
    body = encoded(link)
    assert wire.decode_link(b"x" * 20 + body + b"y" * 9, 20, 20 + len(body)) == wire.decode_link(body, 0, len(body))


@settings(deadline=None, max_examples=50)
@given(links)
def test_what_a_new_link_is_made_of_reads_the_same_in_pyroute2(link):
    message = decoded(wire.body(link.ifindex, *encode(link, AT_CREATION)))
    info = message.get_attr("IFLA_LINKINFO")
    assert message["index"] == link.ifindex
    assert info.get_attr("IFLA_INFO_KIND") == "macvtap"
    mode = info.get_attr("IFLA_INFO_DATA").get_attr("IFLA_MACVTAP_MODE")
    assert mode == PASSTHRU.get(link.mode, link.mode)
    assert message.get_attr("IFLA_IFNAME") == link.name
    assert message.get_attr("IFLA_ADDRESS") == link.mac
    assert message.get_attr("IFLA_MTU") == link.mtu
    assert message["change"] == IFF_ALLMULTI | IFF_PROMISC | IFF_NOARP
    assert message["flags"] == link.flags & message["change"]


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        ("ifname", "IFLA_IFNAME", "macvtap7"),
        ("mac", "IFLA_ADDRESS", "02:00:00:00:00:01"),
        ("mtu", "IFLA_MTU", 1400),
    ],
)
def test_a_change_carries_the_named_attribute_and_nothing_else(name, attribute, value):
    link = Link(7, "macvtap7", "macvtap", "vepa", mac="02:00:00:00:00:01", mtu=1400, alias="über")
    message = decoded(wire.body(7, *encode(link, (name,))))
    assert [tuple(pair) for pair in message["attrs"]] == [(attribute, value)]
    assert (message["flags"], message["change"]) == (0, 0)


@pytest.mark.parametrize(
    ("name", "flag"),
    [("allmulticast", IFF_ALLMULTI), ("promiscuous", IFF_PROMISC), ("arp", IFF_NOARP), ("link_state", IFF_UP)],
)
def test_a_change_of_a_flag_says_which_one_is_meant(name, flag):
    message = decoded(wire.body(7, *encode(Link(7, "x", flags=flag | 0x1000), (name,))))
    assert (message["flags"], message["change"], message["attrs"]) == (flag, flag, [])


def test_a_mark_is_the_alias_and_the_group_that_says_the_link_is_made():
    message = decoded(wire.body(7, *encode(Link(7, "macvtap7", alias="über", group=5), ("mark",))))
    assert [tuple(pair) for pair in message["attrs"]] == [("IFLA_IFALIAS", "über"), ("IFLA_GROUP", 5)]


def test_an_alias_goes_without_a_zero_that_the_kernel_would_count():
    assert wire.nla_tag("x" * 255, 0).startswith(struct.pack("=HH", 4 + 255, 20) + b"x" * 255 + b"\0")


def test_an_empty_alias_is_sent_as_nothing_which_removes_it():
    assert wire.nla_tag("", 0).startswith(struct.pack("=HH", 4, 20) + struct.pack("=HH", 8, 27))


def test_attributes_are_padded_to_four_bytes():
    assert wire.nla(3, b"abc") == b"\x07\0\x03\0abc\0"


def test_an_alias_that_is_not_utf8_survives_decoding_and_encoding():
    body = wire.body(7, wire.nla(wire.IFLA_IFALIAS, b"caf\xe9\0"))
    link = wire.decode_link(body, 0, len(body))
    assert wire.nla_tag(link.alias, 0).startswith(wire.nla(wire.IFLA_IFALIAS, b"caf\xe9"))


def test_a_message_that_ends_too_early_is_read_as_far_as_it_goes():
    body = wire.body(7, wire.nla_text(wire.IFLA_IFNAME, "eth0")) + b"\1\0\0\0"
    assert wire.decode_link(body, 0, len(body)).name == "eth0"


def test_mode_and_broadcast_queue_are_one_link_info():
    link = Link(7, "x", mode="vepa", broadcast_queue=5000)
    payload, flags, change = encode(link, ("mode", "broadcast_queue"))
    data = wire.nla(1, struct.pack("=I", 2)) + wire.nla(7, struct.pack("=I", 5000))
    assert (payload, flags, change) == (wire.nla(18, wire.nla(1, b"macvtap") + wire.nla(2, data)), 0, 0)
    body = wire.body(7, payload)
    assert wire.decode_link(body, 0, len(body)).broadcast_queue == 5000


def test_a_mode_or_state_that_a_later_kernel_may_invent_is_no_error():
    info = wire.nla(1, b"macvtap") + wire.nla(2, wire.nla_u32(1, 64))
    body = wire.body(7, wire.nla(wire.IFLA_LINKINFO, info) + wire.nla(wire.IFLA_OPERSTATE, b"\x63"))
    link = wire.decode_link(body, 0, len(body))
    assert (link.kind, link.mode, link.operstate) == ("macvtap", None, "unknown")


def test_alternative_names_and_the_permanent_mac_are_read():
    listed = b"".join(wire.nla_text(wire.IFLA_ALT_IFNAME, name) for name in ("enp1s0", "x" * 127, "\udcff"))
    # the kernel marks it as nested
    payload = wire.nla(wire.IFLA_PROP_LIST | 0x8000, listed)
    payload += wire.nla_text(wire.IFLA_IFNAME, "eth0")
    payload += wire.nla(wire.IFLA_PERM_ADDRESS, bytes.fromhex("525400123456"))
    body = wire.body(2, payload)
    link = wire.decode_link(body, 0, len(body))
    assert (link.name, link.altnames) == ("eth0", ("enp1s0", "x" * 127, "\udcff"))
    assert link.permanent_mac == "52:54:00:12:34:56"
