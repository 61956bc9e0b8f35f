# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""guide_libvirt_verdicts.rst says what libvirtd and the modules say of the documents in support/libvirt_shapes.py.

``tools/verdicts.sh`` writes the page again.
"""

import os

import libvirt_verdicts as verdicts
import pytest
from lab import Lab
from libvirt_lab import Libvirtd
from module_host import ModuleHost

#: networks that the documents name; vepanet is defined here, too
NETWORKS = {
    "vepanet": "<forward mode='vepa' dev='eth0'/><portgroup name='a'/>",
    "nat": "<forward mode='nat'/><ip address='198.51.100.1' netmask='255.255.255.0'/>",
    "isolated": "",
    "hostbridge": "<forward mode='bridge'/><bridge name='br0'/>",
    "openvswitch": "<forward mode='bridge'/><bridge name='ovs0'/><virtualport type='openvswitch'/>",
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """(version of libvirt, verdicts on networks, verdicts on domains)."""
    with Lab(uplinks=("eth0", "eth1")) as lab, ModuleHost(lab.hypervisors[0], lab.directory) as host:
        libvirtd = Libvirtd(host, make_nodes=True)
        host.ip("link add br0 type bridge")
        for name, inside in NETWORKS.items():
            libvirtd.define(name, inside)
        libvirtd.virsh("net-start", "vepanet")
        host.network(xml=libvirtd.virsh("net-dumpxml", "vepanet").stdout)
        libvirt = verdicts.Libvirt(libvirtd, tmp_path_factory.mktemp("documents"))
        version = libvirtd.virsh("--version").stdout.strip()
        yield version, verdicts.network_verdicts(libvirt), verdicts.domain_verdicts(host, libvirt)


def test_every_difference_has_a_reason_and_every_reason_a_difference(said):
    _version, networks, domains = said
    assert len(networks) >= 150 and len(domains) >= 250
    assert verdicts.idle_or_missing([*networks, *domains]) == []


def test_page_shows_what_libvirt_and_the_modules_say(said):
    version, networks, domains = said
    text = verdicts.page(networks, domains, version)
    if os.environ.get("LINUXNET_WRITE_VERDICTS"):
        verdicts.PAGE.write_text(text, encoding="utf-8")
    shown = verdicts.PAGE.read_text(encoding="utf-8")
    if f"libvirtd {version} " in shown:
        assert shown == text
    # another libvirt differs where that is known
    newer = {part.xml for part in verdicts.parts() if part.newer}
    here, there = ({fact for fact in verdicts.facts(each) if fact[2] not in newer} for each in (text, shown))
    assert len(here) > 300 and here == there
