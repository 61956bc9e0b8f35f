# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual functions of a real driver (igb): a pool, passthrough on each, and their return."""

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
