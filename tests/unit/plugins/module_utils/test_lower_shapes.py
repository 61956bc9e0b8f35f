# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lower devices that few kernels of test machines make, by the shape in which the kernel shows them.

Those that the machine's kernel makes are in tests/kernel/test_lower_devices.py.
"""

from __future__ import annotations

import os

import pytest
from scene import host, macvtap, nic_of_host

from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot import files
from ansible_collections.linuxnet.macvtap.plugins.module_utils._boot.entry import entries
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.linuxnet.macvtap.plugins.module_utils._core.model import Network
from ansible_collections.linuxnet.macvtap.plugins.module_utils._link.host import Host
from ansible_collections.linuxnet.macvtap.plugins.module_utils._system.sriov import (
    physical_functions,
    way_to_trust,
    with_devices,
)
from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.problems import Survey

BOND, TEAM, VLAN, VF = 20, 30, 40, 50
#: as `ip -d link` shows them: two ports in a bond with a VLAN on it, one in a team, a VF beside its PF
LINKS = (
    nic_of_host(BOND, "bond0", kind="bond"),
    nic_of_host(BOND + 1, "enp1s0f0", master=BOND),
    nic_of_host(BOND + 2, "enp1s0f1", master=BOND),
    nic_of_host(VLAN, "bond0.100", kind="vlan", lower=BOND),
    nic_of_host(TEAM, "team0", kind="team"),
    nic_of_host(TEAM + 1, "enp2s0", master=TEAM),
    nic_of_host(VF, "enp3s0f0"),
    nic_of_host(VF + 1, "enp3s0f0v1"),
    nic_of_host(60, "dummy0", kind="dummy"),
    nic_of_host(61, "vlan-of-port", kind="vlan", lower=BOND + 1),
)
GOOD = ("bond0", "bond0.100", "team0", "enp3s0f0", "enp3s0f0v1", "dummy0", "vlan-of-port")
PORTS = {"enp1s0f0": "bond bond0", "enp1s0f1": "bond bond0", "enp2s0": "team device team0"}


@pytest.mark.parametrize("name", GOOD)
def test_it_carries_macvtaps(name):
    there = host(*LINKS)
    assert there.lower_device(name, "it").name == name
    assert Survey(there, {}, {}).of_network(Network("n", "vepa", (name,))) == []


@pytest.mark.parametrize("name", PORTS)
def test_its_port_does_not_and_the_master_is_named(name):
    there = host(*LINKS)
    with pytest.raises(InvalidInput, match=f"is a port of {PORTS[name]}, .* use {PORTS[name].split()[-1]} itself"):
        there.lower_device(name, "it")
    (problem,) = Survey(there, {}, {}).of_network(Network("n", "vepa", (name,)))
    assert problem.startswith(f"lower device {name} is a port of {PORTS[name]}, ")


def test_a_live_link_whose_device_became_a_port_has_a_problem():
    link = macvtap(70, "macvtap0", "web", lower=TEAM + 1)
    there = host(*LINKS, link)
    problems = Survey(there, {}, {}).of_link(link, None, "/dev/tap70", [])
    assert any("enp2s0 is a port of team device team0" in problem for problem in problems)


def test_a_macvtap_on_a_vlan_is_not_one_on_the_bond():
    there = host(*LINKS, macvtap(70, "macvtap0", "web", lower=VLAN))
    assert [len(there.on_device(index)) for index in (VLAN, BOND)] == [1, 0]


def pf(root, name, functions):
    """A PF in a sysfs below ``root``; ``functions``: number of each VF → names of its interfaces."""
    device = root / "class/net" / name / "device"
    os.makedirs(device)
    (device / "sriov_numvfs").write_text("%d\n" % len(functions), encoding="ascii")
    for number, names in functions.items():
        function = root / "devices" / f"0000:03:{number:02x}.0"
        os.makedirs(function)
        for each in names:
            os.makedirs(function / "net" / each)
        (device / f"virtfn{number}").symlink_to(function)


def test_the_pool_of_a_pf_is_its_vfs_by_number(tmp_path):
    pf(tmp_path, "enp3s0f0", {10: ["enp3s0f0v10"], 2: ["enp3s0f0v2"], 0: [], 1: ["renamed"]})
    network = with_devices(Network("n", "passthrough", (), "enp3s0f0"), str(tmp_path))
    # the one without is in the hands of vfio or of another namespace
    assert network.devices == ("renamed", "enp3s0f0v2", "enp3s0f0v10")


def test_a_network_without_pf_stays_as_it_is(tmp_path):
    network = Network("n", "passthrough", ("eth0",))
    assert with_devices(network, str(tmp_path)) is network


@pytest.mark.parametrize(
    ("functions", "words"),
    [({}, "has no virtual function with a network interface; create some"), ({0: []}, "has no virtual function")],
)
def test_a_pf_without_usable_vfs_is_refused(tmp_path, functions, words):
    pf(tmp_path, "enp3s0f0", functions)
    with pytest.raises(InvalidInput, match=words):
        with_devices(Network("n", "passthrough", (), "enp3s0f0"), str(tmp_path))


def test_a_pf_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="physical function 'enp3s0f0' does not exist"):
        with_devices(Network("n", "passthrough", (), "enp3s0f0"), str(tmp_path))


def functions_of(root, name, vfs):
    """A PF and its VFs in a sysfs below ``root``, as the kernel links them."""
    pf(root, name, {number: [vf] for number, vf in enumerate(vfs)})
    card = root / "devices/0000:03:00.7"
    card.mkdir(parents=True)
    (card / "net" / name).mkdir(parents=True)
    for number, vf in enumerate(vfs):
        function = root / "devices" / f"0000:03:{number:02x}.0"
        (card / f"virtfn{number}").symlink_to(function)
        (function / "physfn").symlink_to(card)
        (root / "class/net" / vf).mkdir(parents=True)
        (root / "class/net" / vf / "device").symlink_to(function)


def test_a_vf_is_known_with_its_pf_and_the_command_that_trusts_it(tmp_path):
    functions_of(tmp_path, "enp3s0f0", ["enp3s0f0v0", "enp3s0f0v1"])
    found = physical_functions({link.ifindex: link for link in LINKS}, str(tmp_path))
    # enp3s0f0v0 is in another network namespace
    assert found == {VF + 1: VF}
    assert way_to_trust("enp3s0f0v1", str(tmp_path)) == "ip link set dev enp3s0f0 vf 1 trust on"
    assert way_to_trust("enp3s0f0", str(tmp_path)) == way_to_trust("bond0", str(tmp_path)) == ""


def test_a_vf_whose_pf_is_down_is_refused_and_told():
    there = host(*LINKS).without([VF])
    down = nic_of_host(VF, "enp3s0f0", flags=0)
    there = Host({**there.links, VF: down}, physical_functions={VF + 1: VF})
    with pytest.raises(InvalidInput, match=r"is a virtual function of enp3s0f0, which is down.* dev enp3s0f0 up"):
        there.lower_device("enp3s0f0v1", "it")
    (problem,) = Survey(there, {}, {}).of_network(Network("n", "passthrough", ("enp3s0f0v1",)))
    assert problem.startswith("lower device enp3s0f0v1 is a virtual function of enp3s0f0, which is down")


@pytest.mark.parametrize(
    ("device", "instance"),
    [
        ("bond0", "bond0"),
        ("bond0.100", "bond0.100"),
        ("br-lan", r"br\x2dlan"),
        ("enp3s0f0_v1", "enp3s0f0_v1"),
        ("team+1", r"team\x2b1"),
    ],
)
def test_the_boot_waits_for_it_by_its_device_unit(device, instance):
    row = {"guest": "a", "nic": 0, "ifname": "macvtap0", "ifindex": 1 << 30, "mac": "02:00:00:00:00:01"}
    texts = files.files(entries([{**row, "mode": "vepa", "device": device, "mtu": 1500}]), {}, ())
    assert f"Wants=macvtap@{instance}.service\n" in texts[files.TARGET]
    rule = f'KERNEL=="{device}", TAG+="systemd", ENV{{SYSTEMD_WANTS}}+="macvtap@{instance}.service"\n'
    assert rule in texts[files.UDEV_RULES]
    # %i is the escaped name, as in the name of the device's own unit
    assert "After=sys-subsystem-net-devices-%i.device\n" in texts[files.SERVICE]
    assert f"/etc/macvtap/boot/{device}.create" in texts
