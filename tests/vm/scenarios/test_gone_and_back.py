# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A lower device goes and comes back: persisted links come back with it, without Ansible."""

#: waits until all these links are there and up
ARE_UP = """
for link; do
    for attempt in $(seq 600); do
        ! ip link show dev $link up 2>/dev/null | grep -q . || continue 2
        sleep 0.5
    done
    exit 1
done
"""


#: names the SR-IOV card
LINK = """[Match]
PermanentMACAddress=52:54:00:00:01:00
[Link]
Name={}
"""


def rename(host, name):
    """Give the SR-IOV card another name, from the next time on that it appears."""
    host.write("/etc/systemd/network/10-lan.link", LINK.format(name))


def comes_back(host, before, how):
    """Wait until the links are there as they were."""
    done = host.run(["sh", "-c", ARE_UP, "sh", *before], check=False, timeout=600)
    assert done.returncode == 0, f"not back after {how}"
    assert host.identities() == before, f"another after {how}"


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

    rename(host, "lan0")
    host.sh("udevadm control --reload")
    host.machine.unplug("nic0")
    host.machine.plug("nic0")
    renamed = {name: {**row, "device": row["device"].replace(host.nic0, "lan0")} for name, row in before.items()}
    comes_back(host, renamed, "the NIC was plugged in again, with another name")
    (said,) = host.module("macvtap_info")["boot_problems"]
    assert f"lower device {host.nic0} of the boot files is now called lan0" in said
    assert host.persist()["changed"] and host.module("macvtap_info")["boot_problems"] == []
    host.machine.unplug("nic0")
    host.machine.plug("nic0")
    comes_back(host, renamed, "the NIC was plugged in again, with the name that was persisted")
    assert host.failures() == ""
