# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kernel without VLAN devices; what one with them does is seen in tests/vm/scenarios/test_vlan.py."""

import pytest
from module_host import ATTACH, NETWORK

SAID = (
    "vlan needs links of type vlan (8021q), which this kernel does not have; leave vlan out, or boot a kernel with it"
)
NIC = "<interface type='direct'><source dev='eth0'/><vlan><tag id='20'/></vlan></interface>"
NETWORK_XML = "<network><name>n</name><forward mode='vepa' dev='eth0'/>PART</network>"


def has_vlans(host):
    done = host.run(["ip", "link", "add", "link", "eth0", "name", "v", "type", "vlan", "id", "9"], check=False)
    host.run(["ip", "link", "delete", "v"], check=False)
    return done.returncode == 0


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (NETWORK, {"name": "n", "devices": ["eth0"], "vlan": 20}),
        (NETWORK, {"name": "n", "devices": ["eth0"], "portgroups": [{"name": "a", "vlan": 20}]}),
        (NETWORK, {"xml": NETWORK_XML.replace("PART", "<vlan><tag id='20'/></vlan>")}),
        (ATTACH, {"guest": "web", "xml": NIC}),
        (
            ATTACH,
            {
                "attachments": [{"guest": "web", "network": "n"}],
                "networks": [{"name": "n", "devices": ["eth0"], "vlan": 20}],
            },
        ),
    ],
)
def test_a_kernel_without_vlans_is_refused_by_name_before_anything_is_changed(host, module, options):
    if not has_vlans(host):
        host.ip("link set eth0 down")
        assert host.refusal(module, **options) == SAID
    else:
        host.converges(module, **options)
