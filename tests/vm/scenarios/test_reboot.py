# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Links and guests over a reboot."""

from test_gone_and_back import rename

#: a unit that opens its tap as a guest would, and is ordered as macvtap_persist says
GUEST = """[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec 'exec 3<>{tap_path}; grep -q . /sys/class/net/{ifname}/macvtap/tap*/dev'
"""


def start_guest_at_boot(host, row):
    host.write("/etc/systemd/system/qemu-guest-web.service", GUEST.format(**row))
    host.sh("systemctl daemon-reload; systemctl -q add-wants multi-user.target qemu-guest-web.service")


#: A bond of the plain NIC with a VLAN and jumbo frames.
NETWORKD = {
    "20-bond0.netdev": """[NetDev]
Name=bond0
Kind=bond
MTUBytes=9000
[Bond]
Mode=active-backup
MIIMonitorSec=0.1
""",
    "21-port.network": """[Match]
MACAddress=52:54:00:00:01:01
[Link]
MTUBytes=9000
[Network]
Bond=bond0
""",
    "22-bond0.network": """[Match]
Name=bond0
[Link]
MTUBytes=9000
[Network]
VLAN=vlan20
LinkLocalAddressing=no
""",
    "23-vlan20.netdev": """[NetDev]
Name=vlan20
Kind=vlan
MTUBytes=9000
[VLAN]
Id=20
""",
    "24-vlan20.network": """[Match]
Name=vlan20
[Network]
Address=192.0.2.1/24
LinkLocalAddressing=no
""",
}
#: waits until a link is up with jumbo frames
IS_READY = """
for i in $(seq 600); do
    [ "$(cat /sys/class/net/$0/operstate /sys/class/net/$0/mtu)" != "$(printf 'up\\n9000')" ] || exit 0
    sleep 0.2
done
exit 1
"""


def configure(host):
    """Have systemd-networkd configure the plain NIC."""
    for name, text in NETWORKD.items():
        host.write(f"/etc/systemd/network/{name}", text)
    host.sh("systemctl -q enable systemd-networkd; systemctl restart systemd-networkd")
    host.run(["sh", "-c", IS_READY, "vlan20"])


def test_guests_survive_reboots_on_an_uplink_of_nobody_and_on_one_of_networkd(host):
    configure(host)
    wanted = [{"guest": "web", "device": host.nic0}, {"guest": "jumbo", "device": "vlan20", "mtu": 9000}]
    options = {"attachments": wanted, "device_group": "disk", "device_mode": "0660"}
    made = host.attach(**options)
    host.persist()
    start_guest_at_boot(host, made["attachments"][0])
    before = host.identities()
    assert len(before) == 2
    # the second time udev gives the card another name, and the boot files know its permanent MAC
    renamed = {name: {**row, "device": row["device"].replace(host.nic0, "lan0")} for name, row in before.items()}
    for uplink, after in ((host.nic0, before), ("lan0", renamed)):
        if uplink == "lan0":
            rename(host, uplink)
        state = host.machine.reboot()
        assert host.failures() == ""
        assert state == "running"
        assert host.identities() == after
        assert host.flag(uplink), "the uplink is down after the boot: nobody else brings it up"
        assert {host.link(name)["mtu"] for name in before} == {1500, 9000}
        assert host.sh("systemctl is-active qemu-guest-web.service") == "active\n"
        problems = [problem for row in host.module("macvtap_info")["attachments"] for problem in row["problems"]]
        assert not any("down" in problem for problem in problems), problems
    wanted[0]["device"] = "lan0"
    again = host.attach(check=True, **options)
    assert not again["changed"], again["actions"]


#: The same, as NetworkManager is told of it. It sets MTUs some time after it "has started".
NETWORK_MANAGER = {
    "bond0": "[connection]\nid=bond0\ntype=bond\ninterface-name=bond0\n[bond]\nmode=active-backup\nmiimon=100\n"
    "[ethernet]\nmtu=9000\n[ipv4]\nmethod=disabled\n[ipv6]\nmethod=disabled\n",
    "port": "[connection]\nid=port\ntype=ethernet\nmaster=bond0\nslave-type=bond\n[ethernet]\n"
    "mac-address=52:54:00:00:01:01\nmtu=9000\n",
    "vlan20": "[connection]\nid=vlan20\ntype=vlan\ninterface-name=vlan20\n[vlan]\nparent=bond0\nid=20\n[ethernet]\n"
    "mtu=9000\n[ipv4]\nmethod=manual\naddress1=192.0.2.1/24\n[ipv6]\nmethod=disabled\n",
}
#: The SR-IOV card, as ifupdown is told of it.
IFUPDOWN = "auto lo\niface lo inet loopback\n\nauto {0}\niface {0} inet manual\n    mtu 4000\n"


def test_guests_survive_a_reboot_on_uplinks_of_networkmanager_and_of_ifupdown(host):
    for name, text in NETWORK_MANAGER.items():
        path = f"/etc/NetworkManager/system-connections/{name}.nmconnection"
        host.write(path, text)
        host.sh(f"chmod 600 {path}")
    host.write("/etc/network/interfaces", IFUPDOWN.format(host.nic0))
    host.sh("systemctl -q enable NetworkManager networking; systemctl restart networking NetworkManager")
    host.run(["sh", "-c", IS_READY, "vlan20"])
    wanted = [{"guest": "web", "device": host.nic0, "mtu": 4000}, {"guest": "jumbo", "device": "vlan20", "mtu": 9000}]
    host.attach(attachments=wanted)
    host.persist()
    before = host.identities()
    assert host.machine.reboot() == "running"
    assert host.failures() == ""
    assert host.identities() == before
    assert {name: (host.link(name)["mtu"], host.flag(name)) for name in before} == {
        name: (4000 if row["guest"] == "web" else 9000, True) for name, row in before.items()
    }
    states = dict(line.split(":") for line in host.sh("nmcli -t -f DEVICE,STATE device").splitlines())
    assert {states[name] for name in before} == {"unmanaged"} and states["vlan20"] == "connected"
    assert [row["problems"] for row in host.module("macvtap_info")["attachments"]] == [[], []]
    again = host.attach(check=True, attachments=wanted)
    assert not again["changed"], again["actions"]
