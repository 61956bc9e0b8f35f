# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a guest wants to receive, read from QEMU's answer, and which of it its link does not deliver."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._guest.rx_filter import Filter, read, undelivered

OWN, OTHER, THIRD = "02:00:00:00:00:01", "00:00:5e:00:01:07", "02:cc:cc:cc:cc:00"
#: as QEMU 7.2 reports it of a guest with an address, whose kernel has VLANs
ROW = {
    "name": "nic0", "promiscuous": False, "main-mac": OWN, "unicast": "normal", "unicast-table": [], "vlan": "normal",
    "vlan-table": [0], "multicast": "normal", "multicast-table": ["01:00:5e:00:00:01"], "broadcast-allowed": False,
}  # fmt: skip
#: before the driver has set a filter
FRESH = {**ROW, "promiscuous": True, "multicast-table": [], "vlan": "all", "vlan-table": list(range(4096))}


@pytest.mark.parametrize(("changes", "wanted"), [
    ({}, Filter()),
    (FRESH, Filter()),
    ({"promiscuous": True}, Filter(promiscuous=True)),
    ({"main-mac": THIRD.upper()}, Filter(macs=(THIRD,))),
    ({"unicast-table": [THIRD, OTHER, OWN]}, Filter(macs=(OTHER, THIRD))),
    ({"vlan-table": [20, 0, 4095]}, Filter(vlans=(20,))),
    ({"multicast-table": ["33:33:00:00:00:01"]}, Filter(ipv6=True)),
])  # fmt: skip
def test_the_answer_is_read(changes, wanted):
    answer = [{**ROW, **changes}, {**ROW, "name": "nic1", "main-mac": "of no NIC of ours"}]
    assert read(answer, {"nic0": OWN}) == {"nic0": wanted}


GUARD = {"mac": True, "vlans": [30]}


@pytest.mark.parametrize(("wanted", "row", "words"), [
    (Filter(), {"mode": "vepa"}, []),
    (Filter(macs=(OTHER,)), {"mode": "vepa"}, [f"wants MAC {OTHER}, but in mode vepa its link receives only "]),
    (Filter(macs=(OTHER,)), {"mode": "passthrough"}, []),
    # attachments that a playbook author wrote
    (Filter(macs=(OTHER,)), {}, []),
    (Filter(promiscuous=True), {"mode": "bridge"}, ["wants all frames (promiscuous mode), but in mode bridge"]),
    (Filter(macs=(OTHER, THIRD), promiscuous=True), {"mode": "private"}, [
        f"wants MAC {OTHER} and MAC {THIRD} and all frames (promiscuous mode), but"
    ]),
    (Filter(macs=("a", "b", "c", "d", "e", "f")), {"mode": "vepa"}, [
        "wants MAC a and MAC b and MAC c and MAC d and MAC e, "
    ]),
    (Filter(vlans=(20, 30)), {"mode": "vepa", "guard": GUARD}, ["uses VLAN 20, but its guard drops"]),
    (Filter(vlans=(20, 30)), {"mode": "vepa", "guard": None}, []),
    (Filter(vlans=(20,)), {"mode": "passthrough", "guard": {}}, ["uses VLAN 20, but"]),
    (Filter(ipv6=True), {"mode": "vepa", "allmulticast": True}, []),
    (Filter(ipv6=True), {"mode": "vepa", "allmulticast": False}, ["uses IPv6, but its link does not receive"]),
    (Filter(ipv6=True), {"mode": "vepa", "allmulticast": False, "promiscuous": True}, []),
])  # fmt: skip
def test_what_the_link_does_not_deliver_is_named_with_a_way_out(wanted, row, words):
    found = undelivered(wanted, row)
    assert len(found) == len(words)
    for text, beginning in zip(found, words):
        assert text.startswith(beginning) and "; " in text
