# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lower devices that only a kernel with all its drivers has: which carry macvtaps, and which are refused and why."""

from module_host import warnings

#: name of the lower device: how it is made on {0} and {1}
CARRY = {
    "vlan20": ["link add link {0} name vlan20 type vlan id 20"],
    "bond0": [
        "link add bond0 type bond mode active-backup miimon 100",
        "link set {1} down",
        "link set {1} master bond0",
    ],
    "bond0.30": ["link add link bond0 name bond0.30 type vlan id 30"],
    "dummy0": ["link add dummy0 type dummy"],
    "br0": ["link add br0 type bridge"],
    "vxlan0": ["link add vxlan0 type vxlan id 7 dstport 4789 dev {0}"],
}
#: name of the device: how it is made, and what is said of it
REFUSED = {
    "{1}": ([], "is a port of bond bond0, which receives all its frames; use bond0 itself"),
    "vrf0": (["link add vrf0 type vrf table 10"], "is a VRF, a routing table that has no wire; name one of its ports"),
    "macvlan0": (["link add link {0} name macvlan0 type macvlan"], "is itself a macvlan"),
    "ipvlan0": (
        ["link add dummy1 type dummy", "link add link dummy1 name ipvlan0 type ipvlan"],
        "is itself an ipvlan, on which no other link can be",
    ),
    "dummy1": ([], "carries the ipvlan ipvlan0, which receives all its frames; use another device"),
}


def lines(host, templates):
    return [line.format(host.nic0, host.nic1) for line in templates]


def test_each_kind_of_lower_device_carries_a_link_or_is_refused_by_name(host):
    host.ip(f"link set {host.nic0} up")
    for name, templates in CARRY.items():
        host.ip(*lines(host, templates), f"link set {name} up")
    wanted = [{"guest": "web", "device": name} for name in CARRY]
    made = host.attach(attachments=wanted)
    again = host.attach(attachments=wanted)
    assert (again["changed"], again["actions"]) == (False, [])
    for name, row in zip(CARRY, made["attachments"]):
        link = host.link(row["ifname"])
        assert (link["link"], link["linkinfo"]["info_data"]["mode"]) == (name, "vepa"), link
        assert "UP" in link["flags"] and host.opens(row)
    for name, (templates, said) in REFUSED.items():
        if templates:
            host.ip(*lines(host, templates))
        device = name.format(host.nic0, host.nic1)
        assert said in host.refusal("macvtap_attach", attachments=[{"guest": "db", "device": device}])
    said = host.refusal("macvtap_attach", attachments=[{"guest": "db", "device": "eth9"}])
    offered = set(said.partition("usable devices: ")[2].split(", "))
    assert set(CARRY) <= offered
    assert not offered & {"vrf0", "ipvlan0", "dummy1", "macvlan0", host.nic1}


#: Sends a frame a hundred times, 20 a second, from a tap.
SENDER = """
import fcntl, os, struct, sys, time
tap = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(tap, 0x400454CA, struct.pack("=16sH22x", b"", 0x1002))
frame = b"\\xff" * 6 + bytes.fromhex(sys.argv[2].replace(":", "")) + b"\\x88\\xb5" + bytes(50)
for number in range(100):
    os.write(tap, frame)
    time.sleep(0.05)
"""


def test_a_bond_fails_over_under_a_guest(host):
    host.ip(
        "link add bond0 type bond mode active-backup miimon 50",
        f"link set {host.nic0} master bond0",
        f"link set {host.nic1} master bond0",
        "link set bond0 up",
    )
    row = host.attach(attachments=[{"guest": "web", "device": "bond0"}])["attachments"][0]
    host.sh("for i in $(seq 100); do grep -q up /sys/class/net/bond0/operstate && break; sleep 0.2; done")
    active = host.read("/sys/class/net/bond0/bonding/active_slave")

    def received():
        return int(host.sh("ip netns exec switch cat /sys/class/net/br0/statistics/rx_packets"))

    seen = []
    for plugged in (True, False):
        host.machine.cable("nic0" if active == host.nic0 else "nic1", plugged)
        before = received()
        host.run(["python3", "-c", SENDER, row["tap_path"], row["mac"]])
        seen.append(received() - before)
    assert host.read("/sys/class/net/bond0/bonding/active_slave") != active
    # the frames of the moments before the bond noticed are lost
    assert seen[0] >= 100 and seen[1] >= 80, seen
    again = host.attach(attachments=[{"guest": "web", "device": "bond0"}])
    assert not again["changed"]


#: Two cables to a switch that speaks LACP, as the kernel tells of both ends.
LACP = """
for number in 0 1; do
    ip link add lag$number type veth peer name port$number
    ip link set port$number netns switch
done
for end in "ip" "ip -n switch"; do
    $end link add bond9 type bond mode 802.3ad miimon 50 lacp_rate fast
done
for number in 0 1; do
    ip link set lag$number master bond9
    ip -n switch link set port$number master bond9
done
ip -n switch link set bond9 up
ip link set bond9 up
partner=$(ip netns exec switch cat /sys/class/net/bond9/address)
for attempt in $(seq 300); do
    ! grep -q "Partner Mac Address: $partner" /proc/net/bonding/bond9 || exit 0
    sleep 0.2
done
exit 1
"""


def test_guests_on_an_aggregate_with_a_partner_stay_connected_while_a_cable_is_out(host):
    host.run(["sh", "-ec", LACP])
    wanted = [{"guest": "web", "device": "bond9"}]
    (row,) = host.attach(attachments=wanted)["attachments"]

    def received():
        return int(host.sh("ip netns exec switch cat /sys/class/net/bond9/statistics/rx_packets"))

    for cut in ("", "lag0"):
        if cut:
            host.ip(f"link set {cut} down")
        before = received()
        host.run(["python3", "-c", SENDER, row["tap_path"], row["mac"]])
        # the frames of the moments before the bond noticed are lost
        assert received() - before >= (80 if cut else 100), host.sh("cat /proc/net/bonding/bond9")
    again = host.attach(attachments=wanted)
    assert (again["changed"], again["attachments"][0]["device"]) == (False, "bond9")
    (told,) = host.module("macvtap_info")["attachments"]
    assert told["problems"] == []
    assert "is a port of bond bond9" in host.refusal("macvtap_attach", attachments=[{"guest": "db", "device": "lag1"}])


def test_a_wireless_device_carries_a_link_with_a_warning_and_is_reported(host):
    host.sh("modprobe mac80211_hwsim radios=1; udevadm settle")
    name = host.sh("basename $(ls -d /sys/class/net/*/phy80211 | head -n 1 | xargs dirname)").strip()
    said = f"lower device {name} is wireless: access points usually drop frames from MACs other than its own"
    result = host.attach(attachments=[{"guest": "web", "device": name}])
    assert [words for words in warnings(result) if words.startswith(said)]
    (row,) = host.module("macvtap_info")["attachments"]
    assert any(problem.startswith(said) for problem in row["problems"])
    # the interface of all radios is no Ethernet device
    host.ip("link set hwsim0 up")
    refused = host.refusal("macvtap_attach", attachments=[{"guest": "db", "device": "hwsim0"}])
    assert "lower device 'hwsim0' is not an Ethernet device (ARPHRD type 803)" in refused
