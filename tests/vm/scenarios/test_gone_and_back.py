# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lower device goes and comes back: persisted links come back with it, without Ansible."""

import time


def comes_back(host, before, how):
    """Wait until the links are there as they were."""
    deadline = time.monotonic() + 180
    while host.identities() != before:
        assert time.monotonic() < deadline, f"not back after {how}: {host.identities()}, wanted {before}"
        time.sleep(1)
    for name in before:
        assert host.flag(name), f"{name} is down after {how}"


def test_links_come_back_with_their_lower_device(host):
    vlan = f"link add link {host.nic1} name vlan20 type vlan id 20"
    host.ip(f"link set {host.nic1} up", vlan, "link set vlan20 up")
    host.network(name="plain", devices=[host.nic0])
    host.attach(attachments=[{"guest": "web", "device": "vlan20"}, {"guest": "db", "network": "plain"}])
    host.persist()
    before = host.identities()
    assert len(before) == 2

    host.ip("link delete vlan20")
    host.ip(vlan, "link set vlan20 up")
    comes_back(host, before, "the VLAN was made again")

    device = host.sh(f"basename $(readlink -f /sys/class/net/{host.nic0}/device)").strip()
    host.sh(f"echo {device} >/sys/bus/pci/drivers/igb/unbind; sleep 1; echo {device} >/sys/bus/pci/drivers/igb/bind")
    comes_back(host, before, "the driver was bound again")

    host.machine.unplug("nic0")
    host.machine.plug("nic0")
    comes_back(host, before, "the NIC was plugged in again")
    assert host.failures() == ""
