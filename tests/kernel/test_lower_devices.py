# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lower devices that are no plain NIC: those that the machine's kernel can make."""

import subprocess

import pytest
from module_host import ModuleFailed

#: kind → lines of ip that make ``lower0``, and the link that it is made of
KINDS = {
    "bridge": ["link add lower0 type bridge", "link set eth1 master lower0"],
    "bond": ["link add lower0 type bond mode active-backup", "link set eth1 down", "link set eth1 master lower0"],
    "team": ["link add lower0 type team", "link set eth1 down", "link set eth1 master lower0"],
    "vlan": ["link add link eth1 name lower0 type vlan id 100"],
    "dummy": ["link add lower0 type dummy"],
    "veth": ["link add lower0 type veth peer name lower1"],
}


def is_made_here(kind):
    """Whether this kernel knows the kind of link at all: many are built without some."""
    line = "link add link lo name lower0 type vlan id 100" if kind == "vlan" else "link add lower0 type %s" % kind
    tried = subprocess.run(["unshare", "--net", "ip", *line.split()], capture_output=True, text=True, check=False)
    return "Unknown device type" not in tried.stderr and "not supported" not in tried.stderr


@pytest.mark.parametrize("kind", list(filter(is_made_here, KINDS)))
def test_a_macvtap_on_it(host, kind):
    host.ip(*KINDS[kind], "link set lower0 addrgenmode none up")
    try:
        wanted = {"attachments": [{"guest": "a", "device": "lower0"}]}
        done = host.attach(**wanted)
        assert not host.attach(check=True, **wanted)["changed"]
        host.network(name="n", devices=["lower0"])
        host.attach(attachments=[{"guest": "b", "network": "n"}])
        told = host.module("macvtap_info", network="n")
        assert [network["name"] for network in told["networks"]] == ["n"]
        assert host.link(done["attachments"][0]["ifname"])["link"] == "lower0"
        if kind in ("bridge", "bond", "team"):
            with pytest.raises(ModuleFailed, match=r"is a port of .* lower0"):
                host.attach(attachments=[{"guest": "c", "device": "eth1"}])
        host.detach(guest="a")
        host.detach(guest="b")
    finally:
        host.run(["sh", "-c", "ip link set eth1 nomaster; ip link delete lower0; ip link set eth1 up"], check=False)
