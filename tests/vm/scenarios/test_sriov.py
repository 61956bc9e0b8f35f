# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual functions of a real driver (igb): a pool, passthrough on each, and their return."""

import json

import pytest
from module_host import ModuleFailed

POOL = """<network><name>vfs</name><forward mode='passthrough'><pf dev='{}'/></forward></network>"""


def make_vfs(host, number):
    host.sh(f"echo {number} >/sys/class/net/{host.nic0}/device/sriov_numvfs; udevadm settle")
    links = host.sh(f"for vf in /sys/class/net/{host.nic0}/device/virtfn*/net/*; do echo ${{vf##*/}}; done").split()
    return [name for name in links if name != "*"]


def test_guests_on_virtual_functions_of_a_pool(host):
    host.ip(f"link set {host.nic0} up")
    vfs = make_vfs(host, 2)
    assert len(vfs) == 2
    before = {vf: host.link(vf)["address"] for vf in vfs}
    host.network(xml=POOL.format(host.nic0))
    wanted = [{"guest": "a", "network": "vfs", "mac": "52:54:00:aa:00:01"}, {"guest": "b", "network": "vfs"}]
    made = host.attach(attachments=wanted)
    assert {row["device"] for row in made["attachments"]} == set(vfs)
    for row in made["attachments"]:
        assert row["mode"] == "passthrough"
        assert host.link(row["device"])["address"] == row["mac"] == host.link(row["ifname"])["address"]
        assert host.flag(row["device"]), "the VF is down: nobody else brings it up"
    again = host.attach(attachments=wanted)
    assert (again["changed"], again["actions"]) == (False, [])
    with pytest.raises(ModuleFailed) as exhausted:
        host.attach(attachments=[*wanted, {"guest": "c", "network": "vfs"}])
    assert "vfs" in exhausted.value.message and "c" in exhausted.value.message
    host.detach(guest="a")
    host.detach(guest="b")
    assert {vf: host.link(vf)["address"] for vf in vfs} == before, "the MACs were not given back"

    # no VFs, and again: the same guests on them
    make_vfs(host, 0)
    assert sorted(make_vfs(host, 2)) == sorted(vfs)
    made = host.attach(attachments=wanted)
    assert {row["device"] for row in made["attachments"]} == set(vfs)


def functions(host):
    """What the physical function does for each virtual function."""
    (link,) = json.loads(host.sh(f"ip -d -j link show dev {host.nic0}"))
    return [
        {
            "vlan": sum(each.get("vlan", 0) for each in function.get("vlan_list", ())),
            "trust": function["trust"],
            "spoof_check": function["spoofchk"],
        }
        for function in link["vfinfo_list"]
    ]


def test_what_the_physical_function_does_for_a_guest_is_set_repaired_booted_and_given_back(host):
    host.ip(f"link set {host.nic0} up")
    vfs = make_vfs(host, 2)
    before = functions(host)
    asked = {"vlan": 20, "trust": True, "spoof_check": False}
    nic = {"guest": "a", "device": vfs[0], "mode": "passthrough"}
    host.attach(attachments=[{**nic, "vf": {"vlan": 30}}])
    assert functions(host) == [{**before[0], "vlan": 30}, before[1]]
    foretold = host.attach(check=True, attachments=[{**nic, "vf": asked}])
    done = host.attach(attachments=[{**nic, "vf": asked}])
    (row,) = done["attachments"]
    assert (row["vf"], row["vf_before"]) == (asked, before[0])
    assert (foretold["actions"], foretold["attachments"]) == (done["actions"], done["attachments"])
    assert not host.attach(attachments=[{**nic, "vf": asked}])["changed"]
    assert functions(host) == [asked, before[1]]
    # what is not asked for any more stays
    assert not host.attach(attachments=[nic])["changed"]

    host.ip(f"link set {host.nic0} vf 0 vlan 0 trust off")
    assert host.attach(check=True, attachments=[{**nic, "vf": asked}])["changed"]
    done = host.attach(attachments=[{**nic, "vf": asked}])
    assert "vf vlan 0 trust off spoofchk off -> vlan 20 trust on spoofchk off" in " ".join(done["actions"])
    assert functions(host)[0] == asked

    # a boot: the virtual function is as new, and has its own before the link is up
    host.persist()
    host.ip(f"link delete {row['ifname']}", f"link set {host.nic0} vf 0 vlan 0 trust off spoofchk on")
    host.sh(f"systemctl restart macvtap@{vfs[0]}")
    assert functions(host)[0] == asked and host.flag(row["ifname"])
    (booted,) = host.module("macvtap_info")["attachments"]
    assert (booted["vf"], booted["vf_before"], booted["problems"]) == (asked, before[0], [])
    assert not host.attach(attachments=[{**nic, "vf": asked}])["changed"]

    for device, mode in ((host.nic1, "passthrough"), (vfs[1], "vepa")):
        other = {"guest": "b", "device": device, "mode": mode, "vf": {"vlan": 7}}
        said = host.refusal("macvtap_attach", attachments=[other])
        assert f"guest b nic 0 (attachments[0]): vf is not possible on {device} in mode {mode}" in said
    host.detach(guest="a")
    assert functions(host) == before
    # a run that fails gives it back too
    host.ip(f"link set {host.nic0} vf 1 mac 02:00:00:00:00:77")
    refused = {"guest": "b", "device": vfs[1], "mode": "passthrough", "mac": "52:54:00:aa:00:01"}
    with pytest.raises(ModuleFailed) as failed:
        host.attach(attachments=[{**nic, "vf": asked}, refused])
    assert f"ip link set dev {host.nic0} vf 1 trust on" in failed.value.message
    assert functions(host) == before
