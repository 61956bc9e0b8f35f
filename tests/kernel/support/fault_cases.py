# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that are made to fail at every point (fault_points.py): what there is before, the run, and who helps after it.

Everything happens beside things that are somebody else's, see :data:`FOREIGN`.
"""

from __future__ import annotations

from typing import NamedTuple

from module_host import ATTACH, NETWORK, remove_links

PERSIST, INFO, PROBE = "macvtap_persist", "macvtap_info", "macvtap_probe"

#: below the lab's own /run: a host's file system as macvtap_persist is to write it
BOOT_ROOT = "/run/faults"

#: What is somebody else's: a macvtap with a node, a macvlan, a file and a FIFO called like taps, a definition.
FOREIGN = """
ip -batch - <<END
link add link eth0 name foreign0 index 7001 address 02:00:00:00:70:01 type macvtap mode bridge
link set foreign0 alias theirs mtu 1400 up
link add link eth0 name foreign1 index 7002 address 02:00:00:00:70:02 type macvlan mode bridge
END
IFS=: read major minor </sys/class/net/foreign0/macvtap/tap7001/dev
mknod -m 640 /dev/tap7001 c $major $minor
echo theirs >/dev/tap7003
mkfifo /dev/tap7004
mkdir -p /etc/macvtap/networks
echo '<network><name>foreign</name><forward mode="vepa" dev="eth0"><interface dev="eth0"/></forward></network>' \
    >/etc/macvtap/networks/foreign.xml
"""

#: Removes what a case left, and nothing of somebody else's but the boot files, which are written anew.
CLEAN = f"""
{remove_links("foreign?")}
ip -batch - <<END
link set eth0 up
link set eth1 up
END
rm -f /dev/tap[12]*
find /etc/macvtap -type f ! -name foreign.xml -delete
rm -rf {BOOT_ROOT}
mkdir -p {BOOT_ROOT}/etc/sysctl.d {BOOT_ROOT}/etc/NetworkManager/conf.d
echo theirs >{BOOT_ROOT}/etc/sysctl.d/10-theirs.conf
echo '# theirs' >{BOOT_ROOT}/etc/dhcpcd.conf
"""


class Case(NamedTuple):
    #: modules with options, or shell scripts
    before: list
    module: str
    options: dict
    #: modules with options that make the host right together with the run, where it cannot alone
    then: tuple = ()
    #: lower devices that the run itself may set up
    raises: tuple = ()


OWNED = {"device_mode": "0660", "device_group": "daemon"}
THREE = [{"guest": guest, "network": "net"} for guest in ("a", "b", "b")]
ATTACHED = (ATTACH, {"attachments": THREE, **OWNED})
DEFINED = (NETWORK, {"name": "net", "devices": ["eth0"]})
MOVED = [{"guest": guest, "device": "eth1", "mode": "bridge"} for guest in ("a", "b", "b")]
DRIFT = """
chmod 600 /dev/tap$(cat /sys/class/net/macvtap1/ifindex)
rm /dev/tap$(cat /sys/class/net/macvtap2/ifindex)
echo 0 >/proc/sys/net/ipv6/conf/macvtap2/disable_ipv6
ip -batch - <<END
link set macvtap0 down
link set macvtap0 name drifted address 02:00:00:00:00:99 mtu 1300 allmulticast off arp on
link set drifted up
link set macvtap1 type macvtap mode private
link set macvtap2 mtu 1200
END
"""
NAMED, SWAPPED = (
    (ATTACH, {"attachments": [{"guest": guest, "device": "eth0", "ifname": name} for guest, name in pairs], **OWNED})
    for pairs in ((("a", "one"), ("b", "two"), ("c", "three")), (("a", "two"), ("b", "one"), ("c", "four")))
)
EXCLUSIVE = (ATTACH, {"guest": "p", "attachments": [{"device": "eth1", "mode": "passthrough"}]})
#: as :data:`_identity.INDEX_BASE`, where derived indexes begin
FIRST_INDEX = 1 << 30
ROWS = [
    {
        "guest": guest, "nic": 0, "network": None, "ifname": f"macvtap{number}", "ifindex": FIRST_INDEX + number,
        "mac": f"02:00:00:00:00:0{number}", "mode": mode, "device": device, "mtu": 1500, "queues": 1,
        "link_state": "up", "allmulticast": True, "promiscuous": False, "isolate_host": True,
        "tap_path": f"/dev/tap{FIRST_INDEX + number}", "tap_owner": "root", "tap_group": "kvm", "tap_mode": "0660",
    }
    for number, (guest, device, mode) in enumerate([("a", "eth0", "vepa"), ("b", "eth1", "passthrough")])
]  # fmt: skip
PERSISTED = (PERSIST, {"attachments": ROWS, "root": BOOT_ROOT})

CASES = {
    "create": Case([DEFINED], *ATTACHED),
    "converge": Case([DEFINED, ATTACHED, DRIFT], *ATTACHED),
    "rename": Case([NAMED], *SWAPPED),
    "remove": Case([DEFINED, ATTACHED], ATTACH, {"state": "absent", "guest": "b"}),
    "purge": Case([DEFINED, ATTACHED], ATTACH, {"attachments": THREE[:2], "purge": True, **OWNED}),
    "define": Case(["ip link set eth1 down"], NETWORK, {"name": "net", "devices": ["eth0", "eth1"]}, (), ("eth1",)),
    "undefine": Case([DEFINED], NETWORK, {"name": "net", "state": "absent"}),
    "redefine": Case([DEFINED, ATTACHED], NETWORK, {"name": "net", "devices": ["eth0"], "mode": "bridge"}, (ATTACHED,)),
    "recreate": Case([DEFINED, ATTACHED], ATTACH, {"attachments": MOVED, "force": True, **OWNED}),
    "passthrough take": Case([], *EXCLUSIVE),
    "passthrough leave": Case([EXCLUSIVE], ATTACH, {"state": "absent", "guest": "p"}),
    "to passthrough": Case([(ATTACH, {"guest": "p", "attachments": [{"device": "eth1"}]})], *EXCLUSIVE),
    "persist": Case([], *PERSISTED),
    "forget": Case([PERSISTED], PERSIST, {"state": "absent", "guest": ["a", "b"], "root": BOOT_ROOT}),
    "probe": Case([], PROBE, {"device": "eth0", "timeout": 2}),
    "info": Case([DEFINED, ATTACHED], INFO, {"all": True}),
}
