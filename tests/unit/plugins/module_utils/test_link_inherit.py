# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a NIC has from its port group and its network."""

from __future__ import annotations

import pytest

from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Network, Nic, PortGroup
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.inherit import checked, inherited

GOLD, PLAIN, SILVER = (
    PortGroup("gold", False, {"x": "group"}),
    PortGroup("plain", False),
    PortGroup("silver", True, {"x": "default group"}),
)


@pytest.mark.parametrize(
    ("own", "named", "groups", "network", "result"),
    [
        # own value, port group named, port groups of the network, value of the network → value
        (None, None, (), None, None),
        (None, None, (), "network", "network"),
        ("own", None, (), "network", "own"),
        (None, "gold", (GOLD,), "network", "group"),
        (None, "gold", (GOLD,), None, "group"),
        ("own", "gold", (GOLD,), "network", "own"),
        (None, "plain", (PLAIN,), "network", "network"),
        (None, None, (GOLD,), "network", "network"),
        (None, None, (GOLD, SILVER), "network", "default group"),
        (None, "gold", (GOLD, SILVER), "network", "group"),
        (None, "plain", (PLAIN, SILVER), "network", "network"),
        ({}, "gold", (GOLD,), "network", {}),
    ],
)
def test_own_value_wins_over_the_port_groups_and_that_over_the_networks(own, named, groups, network, result):
    nic = Nic("web", network="n", portgroup=named, settings={"x": own, "mtu": 1400})
    settings = {} if network is None else {"x": network}
    found = inherited(nic, Network("n", "vepa", ("eth0",), portgroups=groups, settings=settings, xml="<network/>"))
    assert found.settings.get("x") == result and found.settings["mtu"] == 1400


def test_values_are_taken_whole_and_not_mixed():
    network = Network("n", "vepa", ("eth0",), settings={"bandwidth": {"inbound": {"average": 1}}})
    nic = Nic("web", network="n", settings={"bandwidth": {"outbound": {"average": 2}}})
    assert inherited(nic, network).settings["bandwidth"] == {"outbound": {"average": 2}}


def test_a_nic_on_no_network_inherits_nothing():
    nic = Nic("web", device="eth0", settings={"mtu": 1400})
    assert inherited(nic, None) == nic


def test_an_unknown_port_group_is_refused_unless_the_guest_is_placed_already():
    network = Network("n", "vepa", ("eth0",), portgroups=(GOLD,), settings={"x": "network"}, xml="<network/>")
    with pytest.raises(InvalidInput, match=r"network 'n' has no port group 'lead' .it has: 'gold'.; name one of these"):
        inherited(Nic("web", network="n", portgroup="lead"), network)
    assert inherited(Nic("web", network="n", portgroup="lead", device="eth0"), network).settings == {"x": "network"}


def test_a_port_group_sets_no_broadcast_queue():
    assert checked({"broadcast_queue": 5}, "network 'n'") == {"broadcast_queue": 5}
    with pytest.raises(InvalidInput, match="network 'n', port group 'a' has the unknown setting 'broadcast_queue'"):
        checked({"broadcast_queue": 5}, "network 'n', port group 'a'", is_portgroup=True)
