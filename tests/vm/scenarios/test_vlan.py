# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VLANs of networks, port groups and NICs: what is on the wire, whose the VLAN devices are, and how long they live."""

import errno
import json

from test_gone_and_back import ARE_UP

MARK = "linuxnet.macvtap vlan"
#: Sends a broadcast from a tap and from three links of the switch; prints what each of them, and the tap, received.
TALK = """
import ctypes, fcntl, json, os, select, socket, struct, subprocess, sys, time
path, mac, links = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", "")), sys.argv[3:]
tap = os.open(path, os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(tap, 0x400454CA, struct.pack("=16sH22x", b"", 0x1002))
libc = ctypes.CDLL(None)
with open("/run/netns/switch") as switch:
    libc.setns(switch.fileno(), 0x40000000)
ends = {}
for link in links:
    ends[link] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x88B5))
    ends[link].bind((link, 0x88B5))
def frame(source, text):
    return b"\\xff" * 6 + source + b"\\x88\\xb5" + text.ljust(50).encode()
heard = {name: set() for name in ["tap", *links]}
for attempt in range(4):
    os.write(tap, frame(mac, "guest"))
    for number, (link, end) in enumerate(ends.items()):
        end.send(frame(bytes([2, 0, 0, 0, 9, number]), link))
    time.sleep(0.3)
    for name, source in [("tap", tap), *ends.items()]:
        while select.select([source], [], [], 0)[0]:
            data = os.read(source if name == "tap" else source.fileno(), 65536)
            if data[12:14] == b"\\x88\\xb5":
                heard[name].add(data[14:64].decode().strip())
print(json.dumps({name: sorted(texts) for name, texts in heard.items()}))
"""


def talk(host, row):
    """What the guest on a tap hears of the switch, and each VLAN of the switch of the guest."""
    vlan = "ip link show br0.$tag || ip link add link br0 name br0.$tag up type vlan id $tag"
    vlans = f"for tag in 20 21; do {vlan}; done"
    host.sh(f"ip netns exec switch sh -ec '{vlans}' >/dev/null 2>&1")
    words = ["python3", "-c", TALK, row["tap_path"], row["mac"], "br0", "br0.20", "br0.21"]
    heard = json.loads(host.run(words).stdout)
    # the link below hears what the VLAN device on it does
    said = [name for name in ("br0.20", "br0.21", "br0") if "guest" in heard[name]]
    return heard["tap"], said[:-1] or said


def vlan_devices(host):
    """(lower device, tag) of each VLAN device → (name, whether it has our mark)."""
    rows = host.links("vlan").values()
    return {
        (row["link"], row["linkinfo"]["info_data"]["id"]): (row["ifname"], row.get("ifalias") == MARK) for row in rows
    }


def make_bond(host):
    host.ip(
        "link add bond0 type bond mode active-backup miimon 50",
        f"link set {host.nic0} master bond0",
        f"link set {host.nic1} master bond0",
        "link set bond0 up",
    )
    host.sh("for i in $(seq 100); do grep -q up /sys/class/net/bond0/operstate && break; sleep 0.2; done")


def test_the_tag_of_the_network_is_on_the_wire_and_no_other_reaches_the_guest(host):
    make_bond(host)
    host.network(name="tagged", devices=["bond0"], vlan=20)
    assert vlan_devices(host) == {}
    row = host.converges("macvtap_attach", attachments=[{"guest": "web", "network": "tagged"}])["attachments"][0]
    assert (row["device"], row["vlan"], row["vlan_parent"]) == ("bond0.20", 20, "bond0")
    assert vlan_devices(host) == {("bond0", 20): ("bond0.20", True)}
    assert talk(host, row) == (["br0.20"], ["br0.20"])

    # another tag of the definition: the guest's next attachment moves it
    host.network(name="tagged", devices=["bond0"], vlan=21)
    assert not host.module("macvtap_info")["attachments"][0]["problems"]
    row = host.converges("macvtap_attach", attachments=[{"guest": "web", "network": "tagged"}])["attachments"][0]
    assert vlan_devices(host) == {("bond0", 21): ("bond0.21", True)}
    assert talk(host, row) == (["br0.21"], ["br0.21"])

    # none
    host.network(name="tagged", devices=["bond0"])
    row = host.converges("macvtap_attach", attachments=[{"guest": "web", "network": "tagged"}])["attachments"][0]
    assert (row["device"], row["vlan"], row["vlan_parent"]) == ("bond0", None, None)
    assert vlan_devices(host) == {}
    assert talk(host, row) == (["br0"], ["br0"])


NIC = "<interface type='direct'><source dev='{}' mode='bridge'/><vlan><tag id='{}'/></vlan></interface>"


def test_a_vlan_device_lives_as_long_as_something_is_on_it(host):
    below = host.nic1
    host.ip(f"link set {below} mtu 2000")
    groups = [{"name": "other", "vlan": 30}, {"name": "own"}]
    made = host.converges("macvtap_network", name="one", devices=[below], vlan=20, portgroups=groups, mode="bridge")
    assert [made["network"]["vlan"]] + [each["vlan"] for each in made["network"]["portgroups"]] == [20, 30, None]
    host.network(name="two", devices=[below], vlan=20, mode="bridge")
    wanted = [
        {"guest": "a", "network": "one"},
        {"guest": "b", "network": "one", "portgroup": "other"},
        {"guest": "c", "network": "one", "portgroup": "own"},
        {"guest": "d", "network": "two"},
    ]
    rows = host.converges("macvtap_attach", attachments=wanted)["attachments"]
    assert [row["device"] for row in rows] == [f"{below}.{tag}" for tag in (20, 30, 20, 20)]
    assert {row["mtu"] for row in rows} == {2000}
    host.attach(xml=NIC.format(below, 31), guest="e")
    assert set(vlan_devices(host)) == {(below, 20), (below, 30), (below, 31)}
    facts = host.link(f"{below}.20")
    assert "UP" in facts["flags"] and facts["mtu"] == 2000
    network = next(row for row in host.module("macvtap_info")["networks"] if row["name"] == "one")
    assert network["vlan"] == 20 and network["devices"][0]["attachments"] == 4

    # a larger MTU of the lower device, a VLAN device that is down: repaired, as foretold
    host.ip(f"link set {below} mtu 3000", f"link set {below}.20 down")
    repaired = host.converges("macvtap_attach", attachments=wanted[:1])
    assert f"change VLAN device {below}.20: mtu 2000 -> 3000, link_state down -> up" in repaired["actions"]
    assert {host.link(name)["mtu"] for name in (f"{below}.20", rows[0]["ifname"])} == {3000}
    # nothing left on one; what the host itself has on another stays
    host.ip(f"address add 192.0.2.1/24 dev {below}.31")
    gone = host.converges("macvtap_attach", state="absent", attachments=[{"guest": name} for name in "abe"])
    assert [line for line in gone["actions"] if "VLAN" in line] == [
        f"delete VLAN device {below}.30 on {below}: nothing uses it any more"
    ]
    host.ip(f"address delete 192.0.2.1/24 dev {below}.31")
    host.converges("macvtap_attach", state="absent", network="one")
    assert set(vlan_devices(host)) == {(below, 20)}
    # a host link too keeps it
    link = {"addresses": ["192.0.2.9/24"]}
    made = host.converges("macvtap_network", name="two", devices=[below], vlan=20, mode="bridge", host_link=link)
    assert made["network"]["host_link"]["device"] == f"{below}.20"
    left = host.converges("macvtap_attach", state="absent", network="two")
    assert not any("VLAN" in line for line in left["actions"])
    host.converges("macvtap_network", name="two", state="absent")
    assert vlan_devices(host) == {}


def test_a_vlan_device_of_another_program_is_used_and_left(host):
    below = host.nic0
    host.ip(f"link add link {below} name theirs type vlan id 20", f"link add {below}.21 type dummy")
    host.network(name="n", devices=[below], vlan=20)
    row = host.converges("macvtap_attach", attachments=[{"guest": "web", "network": "n"}])["attachments"][0]
    assert (row["device"], row["vlan"], row["vlan_parent"]) == ("theirs", 20, None)
    assert host.flag("theirs")
    host.converges("macvtap_attach", state="absent", guest="web")
    assert vlan_devices(host) == {(below, 20): ("theirs", False)}

    host.network(name="n", devices=[below], vlan=21)
    said = host.refusal("macvtap_attach", attachments=[{"guest": "web", "network": "n"}])
    assert f"is called {below}.21, but that name belongs to another link ({below}.21 (dummy, no owner tag))" in said
    host.ip(f"link delete {below}.21", f"link set {below} down", f"link set {below} name enp193s0f0np0")
    host.network(name="n", devices=["enp193s0f0np0"], vlan=4094)
    row = host.converges("macvtap_attach", attachments=[{"guest": "web", "network": "n"}])["attachments"][0]
    assert row["device"].startswith("mvv-4094-") and row["vlan_parent"] == "enp193s0f0np0"
    host.persist()
    assert not host.module("macvtap_info")["attachments"][0]["problems"]


def test_a_run_that_fails_leaves_no_vlan_device_and_takes_none(host):
    below = host.nic1
    for name, tag in (("old", 20), ("new", 30)):
        host.network(name=name, devices=[below], vlan=tag)
    host.attach(attachments=[{"guest": "web", "network": "old"}])
    before = look(host)
    move = {"attachments": [{"guest": "web", "network": "new"}], "_ansible_check_mode": False}
    points = host.machine.ask({"module": "macvtap_attach", "arguments": move, "record": True})["points"]
    assert vlan_devices(host) == {(below, 30): (f"{below}.30", True)}
    failed = []
    for at, (kind, _detail) in enumerate(points, start=1):
        if kind not in ("create", "change", "delete"):
            continue
        host.attach(attachments=[{"guest": "web", "network": "old"}])
        fault = {"at": at, "error": errno.ENOBUFS}
        answer = host.machine.ask({"module": "macvtap_attach", "arguments": move, "fault": fault})
        said = json.loads(answer["stdout"])
        # where nftables cannot be listed, the run says so, and what it left
        if said.get("failed") and "Rollback was incomplete" not in said["msg"]:
            assert look(host) == before, (at, kind, said["msg"])
            failed.append(kind)
    assert {"create", "change", "delete"} == set(failed) and len(failed) >= 6, failed


def look(host):
    return vlan_devices(host), host.link(f"{host.nic1}.20")["flags"], host.identities()


def test_a_boot_makes_the_vlan_devices_before_the_links_on_them(host):
    host.network(name="n", devices=[host.nic0], vlan=20, portgroups=[{"name": "other", "vlan": 30}], mode="bridge")
    link = {"addresses": ["192.0.2.9/24"]}
    made = host.network(name="local", devices=[host.nic1], vlan=40, mode="bridge", host_link=link)
    host.ip(f"link add link {host.nic1} name theirs type vlan id 20")
    wanted = [
        {"guest": "web", "network": "n"},
        {"guest": "db", "network": "n", "portgroup": "other"},
        {"guest": "far", "network": "local"},
    ]
    host.attach(attachments=wanted)
    persisted = host.persist()
    assert [row["vlan"] for row in persisted["entries"]] == [30, 40, 20]
    assert [(row["device"], row["vlan"]) for row in persisted["host_links"]] == [(f"{host.nic1}.40", 40)]
    assert not host.persist()["changed"]
    before, devices = host.identities(), vlan_devices(host)
    assert len(before) == 3 and len(devices) == 4
    del devices[host.nic1, 20]
    assert host.machine.reboot() == "running"
    assert host.failures() == ""
    assert host.identities() == before and vlan_devices(host) == devices
    row = next(row for row in host.module("macvtap_info")["attachments"] if row["guest"] == "web")
    assert not row["problems"] and row["persistent"]
    again = host.attach(check=True, attachments=wanted)
    assert (again["changed"], again["actions"]) == (False, [])
    again = host.network(check=True, name="local", devices=[host.nic1], vlan=40, mode="bridge", host_link=link)
    assert (again["changed"], again["actions"]) == (False, [])
    assert again["network"]["host_link"] == made["network"]["host_link"]

    # the lower device goes and comes back, and with it the VLAN devices and the links on them
    host.machine.unplug("nic0")
    assert len(vlan_devices(host)) == 1
    host.machine.plug("nic0")
    assert host.run(["sh", "-c", ARE_UP, "sh", *before], check=False, timeout=600).returncode == 0
    assert host.identities() == before and vlan_devices(host) == devices

    # forgotten with the last links on them
    host.module("macvtap_persist", state="absent", guest=["web", "db"])
    assert "vlan" not in host.sh("cat /etc/macvtap/boot/*") or host.nic0 not in host.sh("cat /etc/macvtap/boot/*.vlan")
