# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A guard comes from the NIC, else its port group, else its network; and from <filterref>."""

import pytest
from module_host import ATTACH

OF_NETWORK, OF_GROUP = {"vlans": [5]}, {"addresses": ["192.0.2.0/24"]}
FILTERED = """<interface type='direct'><source dev='eth0' mode='vepa'/><mac address='52:54:00:00:00:07'/>
<filterref filter='%s'>%s</filterref></interface>"""
IP = "<parameter name='IP' value='192.0.2.7'/>"


def test_a_guard_is_that_of_the_nic_of_its_port_group_or_of_its_network(host):
    groups = [{"name": "strict", "guard": OF_GROUP}, {"name": "plain"}]
    made = host.converges("macvtap_network", name="net", devices=["eth0"], guard=OF_NETWORK, portgroups=groups)
    assert made["network"]["guard"]["vlans"] == [5]
    nics = [{}, {"portgroup": "strict"}, {"portgroup": "plain"}, {"guard": {"stp": True}}]
    attached = host.converges(ATTACH, attachments=[{"guest": "web", "network": "net", **nic} for nic in nics])
    rows = attached["attachments"]
    found = [(row["guard"]["vlans"], row["guard"]["addresses"], row["guard"]["stp"]) for row in rows]
    assert found == [([5], None, False), ([], ["192.0.2.0/24"], False), ([5], None, False), ([], None, True)]
    host.converges("macvtap_network", name="net", devices=["eth0"], guard={}, portgroups=groups)


@pytest.mark.parametrize(
    "name, parameters, expected",
    [
        ("clean-traffic", IP, {"mac": True, "addresses": ["192.0.2.7"], "other_protocols": False, "stp": False}),
        ("no-mac-spoofing", "", {"mac": True, "addresses": None, "other_protocols": True, "stp": True}),
        ("no-ip-spoofing", IP, {"mac": False, "addresses": ["192.0.2.7", "::/0"], "router_advertisements": True}),
        ("no-arp-spoofing", IP, {"mac": True, "addresses": ["192.0.2.7", "::/0"]}),
    ],
)
def test_a_filter_of_libvirts_is_a_guard(host, name, parameters, expected):
    (row,) = host.converges(ATTACH, guest="web", xml=FILTERED % (name, parameters))["attachments"]
    assert {key: row["guard"][key] for key in expected} == expected


@pytest.mark.parametrize(
    "name, parameters, words",
    [
        ("no-ipv6-spoofing", IP, "<filterref filter='no-ipv6-spoofing'>, but only clean-traffic, no-mac-spoofing"),
        ("clean-traffic", "", "<filterref filter='clean-traffic'> without <parameter name='IP'"),
        ("clean-traffic", "<parameter name='CTRL_IP_LEARNING' value='dhcp'/>", "the parameter 'CTRL_IP_LEARNING'"),
        ("clean-traffic", "<parameter name='IP' value='x'/>", "filterref: 'x' in addresses is not an IPv4"),
    ],
)
def test_what_a_guard_cannot_do_for_a_filter_is_refused_by_name(host, name, parameters, words):
    assert words in host.refusal(ATTACH, guest="web", xml=FILTERED % (name, parameters))
