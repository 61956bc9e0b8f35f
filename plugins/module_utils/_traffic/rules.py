# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to this collection: may change without notice.

"""The rules that judge the frames of all guarded links, in the words of nft(8). PURE.

Frames reach the chain ``guard`` from a chain of each link. What differs between links is in sets, whose elements begin
with the interface index: a set named after a key of the option has the links for which it is checked, and counts what
it drops; the others have what a link may send. Every check returns for what is allowed and ends with the drop, since a
field that lies beyond the end of a frame matches nothing.

Frames inside an 802.1Q tag have the same checks in chains of their own, ``tagged_…``: the kernel sets the network
header behind the tag (tap_get_user), but looks for no transport header there, so that these look for it themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

#: keys of the option for which frames are dropped, in the order of its documentation
REASONS = (
    "mac", "addresses", "vlans", "other_protocols", "stp", "dhcp_server", "router_advertisements", "broadcast_rate",
)  # fmt: skip
#: what else the sets hold, and the type of their elements
ALLOWED = {
    "macs": "typeof oif . ether saddr",
    "ipv4": "typeof oif . ip saddr; flags interval",
    "ipv6": "typeof oif . ip6 saddr; flags interval",
    #: the same addresses, as neighbour advertisements have them
    "targets": "typeof oif . @nh,384,128; flags interval",
}
VLAN = "vlan_"
_TAGS = "{ 8021q, 8021ad, 0x9100, 0x9200 }"
#: numbers of IPv6 extension headers (IANA); behind some of them another protocol is found
_EXTENSIONS = "0, 43, 44, 51, 60, 135, 139, 140"
_ICMPV6, _UDP, _AUTHENTICATION = 58, 17, 51
_ROUTER_ADVERTISEMENT, _ADVERTISEMENT, _REDIRECT = 134, 136, 137
_TAGGED = "tagged_"


def sets(vlans: Iterable[int]) -> dict[str, str]:
    """Every set and its type.

    :arg vlans: tags that some link may send.
    """
    counting = dict.fromkeys(REASONS[:-1], "type iface_index; counter")
    limiting = {REASONS[-1]: "type iface_index; limit rate over 1/second; counter"}
    return {**counting, **limiting, **ALLOWED, **{f"{VLAN}{vlan}": "type iface_index" for vlan in vlans}}


def chains(vlans: Iterable[int]) -> dict[str, list[str]]:
    """Every chain and its rules, but for the chains of the links."""
    return {
        "guard": [
            "jump mac_source",
            "jump reserved_multicast",
            "jump tags",
            "ether type vmap { ip : jump ipv4_frame, arp : jump arp_frame, ip6 : jump ipv6_frame,"
            " 8021q : jump tagged }",
            "ether type != { ip, arp, ip6, 8021q } oif @other_protocols drop",
            "ether daddr & 01:00:00:00:00:00 == 01:00:00:00:00:00 oif @broadcast_rate drop",
        ],
        "mac_source": ["oif . ether saddr @macs return", "oif @mac drop"],
        "reserved_multicast": ["ether daddr & ff:ff:ff:ff:ff:f0 != 01:80:c2:00:00:00 return", "oif @stp drop"],
        "tags": _tags(vlans),
        "tagged": [
            "vlan type vmap { ip : jump tagged_ipv4_frame, arp : jump tagged_arp_frame, ip6 : jump tagged_ipv6_frame }",
            "vlan type { ip, arp, ip6 } return",
            "oif @other_protocols drop",
        ],
        **_protocols("", "ether type "),
        **_protocols(_TAGGED, "ether type vlan vlan type "),
    }


def _tags(vlans: Iterable[int]) -> list[str]:
    untagged = f"vlan type != {_TAGS}"
    return [
        f"ether type != {_TAGS} return",
        # a tag that only says a priority
        f"{untagged} vlan id 0 return",
        *(f"{untagged} vlan id {vlan} oif @{VLAN}{vlan} return" for vlan in vlans),
        "oif @vlans drop",
    ]


def _protocols(prefix: str, ether: str) -> dict[str, list[str]]:
    """The checks of IPv4, ARP and IPv6.

    :arg prefix: of the names of the chains.
    :arg ether: begins the match of an EtherType.
    """
    ipv4, ipv6, arp = f"{ether}ip", f"{ether}ip6", f"{ether}arp arp htype 1 arp ptype ip arp hlen 6 arp plen 4"
    multicast = f"{ipv6} ip6 saddr :: ip6 daddr ff02::/16"
    checks = {
        "ipv4_frame": ["ipv4_source", "dhcp_answer"],
        "arp_frame": ["arp_hardware", "arp_sender"],
        "ipv6_frame": ["ipv6_source", "neighbour_advertisement", "router_advertisement", "dhcpv6_answer"],
    }
    find = _behind_tag if prefix else _found_by_kernel
    target = (
        f"{ipv6} ip6 nexthdr 58 @nh,320,8 136 oif . @nh,384,128 @targets return"
        if prefix
        else "meta l4proto 58 @th,0,8 136 oif . @th,64,128 @targets return"
    )
    rules = {
        "ipv4_source": [
            f"{ipv4} oif . ip saddr @ipv4 return",
            # a DHCP client that has no address yet
            f"{ipv4} ip saddr 0.0.0.0 ip daddr 255.255.255.255 @nh,0,8 0x45 ip protocol 17 @nh,160,32 0x440043 return",
            "oif @addresses drop",
        ],
        "dhcp_answer": [
            f"{ipv4} ip protocol != 17 return",
            f"{ipv4} ip frag-off & 0x1fff != 0 return",
            # the port of a DHCP client, behind the IPv4 header and its options
            *(f"{ipv4} @nh,0,8 0x4{words:x} @nh,{words * 32 + 16},16 != 68 return" for words in range(5, 16)),
            "oif @dhcp_server drop",
        ],
        "arp_hardware": [f"{arp} oif . arp saddr ether @macs return", "oif @mac drop"],
        "arp_sender": [
            f"{arp} oif . arp saddr ip @ipv4 return",
            # a probe for an address that may be in use (RFC 5227)
            f"{arp} arp operation request arp saddr ip 0.0.0.0 return",
            "oif @addresses drop",
        ],
        "ipv6_source": [
            f"{ipv6} oif . ip6 saddr @ipv6 return",
            # solicitations for routers and neighbours (RFC 4861), and multicast listener reports (RFC 3590)
            f"{multicast} ip6 nexthdr 58 @nh,320,8 {{ 133, 135 }} return",
            f"{multicast} ip6 nexthdr 0 @nh,320,16 0x3a00 @nh,384,8 {{ 131, 132, 143 }} return",
            "oif @addresses drop",
        ],
        "neighbour_advertisement": [*find(_ICMPV6, 0, 8, f"{_ADVERTISEMENT}"), target, "oif @addresses drop"],
        "router_advertisement": [
            *find(_ICMPV6, 0, 8, f"{{ {_ROUTER_ADVERTISEMENT}, {_REDIRECT} }}"),
            "oif @router_advertisements drop",
        ],
        "dhcpv6_answer": [*find(_UDP, 16, 16, "546"), "oif @dhcp_server drop"],
    }
    jumps = {frame: [f"jump {prefix}{check}" for check in names] for frame, names in checks.items()}
    return {f"{prefix}{name}": texts for name, texts in {**jumps, **rules}.items()}


def _found_by_kernel(protocol: int, start: int, bits: int, value: str) -> list[str]:
    """Rules that return for IPv6 packets without ``value`` in the transport header, behind any extension headers.

    The kernel looks for it (ipv6_find_hdr), and stops at an authentication header. Where it finds none, because a
    packet ends before, no rule matches.
    """
    return [
        f"meta l4proto != {{ {_AUTHENTICATION}, {protocol} }} return",
        f"meta l4proto {_AUTHENTICATION} @th,0,8 != {{ {_EXTENSIONS}, {protocol} }} return",
        f"meta l4proto {protocol} @th,{start},{bits} != {value} return",
        # in a fragment that is not the first
        "frag frag-off != 0 return",
    ]


def _behind_tag(protocol: int, start: int, bits: int, value: str) -> list[str]:
    """As :func:`_found_by_kernel`, inside a tag: behind no header but a short hop-by-hop or a fragment header."""
    ipv6, other = "ether type vlan vlan type ip6 ip6 nexthdr", f"!= {{ {_EXTENSIONS}, {protocol} }} return"
    return [
        f"{ipv6} {other}",
        f"{ipv6} {protocol} @nh,{320 + start},{bits} != {value} return",
        f"{ipv6} {{ 0, 44 }} @nh,320,8 {other}",
        f"{ipv6} 0 @nh,320,16 {protocol << 8} @nh,{384 + start},{bits} != {value} return",
        f"{ipv6} 44 @nh,336,16 & 0xfff8 != 0 return",
        f"{ipv6} 44 @nh,320,8 {protocol} @nh,{384 + start},{bits} != {value} return",
    ]
