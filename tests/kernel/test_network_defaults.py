# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a network and its port groups set for their NICs, from plain options and from XML."""

import pytest
from libvirt_lab import Libvirtd
from module_host import ATTACH, NETWORK, ModuleFailed
from qemu_lab import lone_host

GROUPS = [{"name": "gold", "default": True}, {"name": "a.b_c-d:e/f"}]


@pytest.fixture(scope="module")
def libvirt():
    with lone_host() as host:
        yield Libvirtd(host)


@pytest.fixture
def host(libvirt):
    libvirt.host.detach(guest="web")
    libvirt.host.network(name="vepanet", state="absent")
    return libvirt.host


def queue(host, **nic):
    rows = host.attach(guest="web", attachments=[{"network": "vepanet", **nic}])["attachments"]
    return rows[0]["broadcast_queue"]


def test_a_nic_has_the_broadcast_queue_of_its_network_unless_it_asks_for_another(host):
    network = host.converges(NETWORK, name="vepanet", devices=["eth0"], broadcast_queue=5000)["network"]
    assert network["broadcast_queue"] == 5000 and network["portgroups"] == []
    assert queue(host) == 5000 and host.link("macvtap0")["linkinfo"]["info_data"]["bcqueuelen"] == 5000
    assert queue(host, broadcast_queue=7000) == 7000
    host.network(name="vepanet", devices=["eth0"])
    assert queue(host) == 1000


def test_the_definition_is_one_that_libvirt_takes_and_prints_again(libvirt, host):
    wanted = {"name": "vepanet", "devices": ["eth0"], "broadcast_queue": 5000, "portgroups": GROUPS}
    network = host.converges(NETWORK, **wanted)["network"]
    assert network["portgroups"] == [
        {"default": False, "vlan": None, "bandwidth": None, "guard": None, **group} for group in GROUPS
    ]
    libvirt.virsh("net-define", "--validate", network["path"])
    dump = libvirt.virsh("net-dumpxml", "--inactive", "vepanet").stdout
    libvirt.virsh("net-undefine", "vepanet")
    again = host.network(xml=dump)
    assert not again["changed"]
    assert {**again["network"], "xml": ""} == {**network, "xml": ""}


def test_port_groups_stay_until_they_are_given_again(host):
    host.network(name="vepanet", devices=["eth0"], portgroups=GROUPS)
    wanted = {"name": "vepanet", "devices": ["eth0"], "mode": "bridge"}
    kept = host.converges(NETWORK, **wanted)["network"]
    assert [group["name"] for group in kept["portgroups"]] == [group["name"] for group in GROUPS]
    assert host.converges(NETWORK, **wanted, portgroups=[])["network"]["portgroups"] == []


def test_an_unknown_port_group_is_refused(host):
    host.network(name="vepanet", devices=["eth0"], portgroups=GROUPS)
    nic = {"network": "vepanet", "portgroup": "lead"}
    assert "has no port group 'lead' (it has: 'gold'" in host.refusal(ATTACH, guest="web", attachments=[nic])
    nic = {"device": "eth0", "portgroup": "gold"}
    message = host.refusal(ATTACH, guest="web", attachments=[nic])
    assert "attachments[0]: portgroup requires network" in message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"broadcast_queue": 0}, "network 'vepanet': broadcast_queue 0 is not possible; it must be 1 to 4294967295"),
        ({"vlan": 4095}, "network 'vepanet': vlan 4095 is not possible; it must be 1 to 4094"),
        ({"portgroups": [{"name": "a", "vlan": 0}]}, "port group 'a': vlan 0 is not possible; it must be 1 to 4094"),
        ({"portgroups": [{"name": "a"}, {"name": "a"}]}, "has the port group 'a' more than once"),
        ({"portgroups": [{"name": ""}]}, "the port group name is empty"),
        (
            {"portgroups": [{"name": "a b"}]},
            "the port group name 'a b' has characters that libvirt's schema does not have",
        ),
        (
            {"portgroups": [{"name": "a", "default": True}, {"name": "b", "default": True}]},
            "has more than one default port group, 'a' and 'b'",
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(host, options, said):
    with pytest.raises(ModuleFailed, match=said):
        host.network(name="vepanet", devices=["eth0"], **options)
