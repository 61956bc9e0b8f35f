# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of macvtap_persist share: guests, a host with udev, a boot played by hand."""

import contextlib
import os
import shutil
import subprocess
import time

import pytest
from lab import Lab
from module_host import ModuleHost

PERSIST = "macvtap_persist"
UDEVD = "/usr/lib/systemd/systemd-udevd"
NETWORKD = "/usr/lib/systemd/systemd-networkd"
SYSCTL = "/usr/lib/systemd/systemd-sysctl"
GROUP, OTHER_GROUP = "daemon", "mail"

#: part of every guest's name where nodes are in devtmpfs, which is one for all that runs on the machine
RUN = str(os.getpid())
#: as bad as names of guests and networks can be, shell, systemd, udev, ip and libvirt taken together
WORST = RUN + " w'e\"b $HOME `id` %i %n; # \\ ü || ../*[a]"
#: all that a NIC can ask for
NICS = [
    {"guest": WORST, "network": "n'e\"t $x # %I"},
    {"guest": "db" + RUN, "device": "eth1", "mode": "bridge", "mac": "52:54:00:00:00:01", "mtu": 1400, "queues": 4},
    {"guest": "db" + RUN, "device": "eth0", "ifname": "db-1.x", "promiscuous": True, "allmulticast": False,
     "device_owner": "nobody", "device_group": OTHER_GROUP, "device_mode": "0640", "broadcast_queue": 5000,
     "bandwidth": {"inbound": {"average": 1024}, "outbound": {"average": 512, "peak": 2048, "burst": 64}}},
    {"guest": "alone" + RUN, "device": "eth2", "mode": "passthrough", "mac": "52:54:00:00:00:02"},
    {"guest": "quiet" + RUN, "device": "eth0", "mode": "private", "link_state": "down", "isolate_host": False},
    {"guest": "guarded" + RUN, "device": "eth1", "guard": {"addresses": ["192.0.2.9", "2001:db8::/64"], "vlans": [20]}},
]  # fmt: skip
OWNED = {"device_group": GROUP, "device_mode": "0660"}

SHOWN = ("guest", "nic", "ifname", "ifindex", "mac", "mode", "device", "mtu", "tap_path", "tap_group", "tap_mode")
#: Prints the path of every file of ours.
FIND = "find /etc -name '*macvtap*' -type f; find /etc/macvtap -path '*/boot/*' -type f 2>/dev/null || true"
#: What a hypervisor is after a reboot: the files are there, the links are not.
FILES = """cd / && tar -c etc/macvtap etc/sysctl.d etc/systemd/system etc/systemd/network etc/udev/rules.d \
$(ls -d etc/NetworkManager etc/dhcpcd.conf)"""


def need(program):
    """Path of a program that the test cannot do without."""
    path = shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/usr/lib/systemd")
    if path is None:
        pytest.fail("needs %s (Debian: systemd, udev, network-manager, dhcpcd-base)" % program)
    return path


def wait_for(condition, what, seconds=180):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "never saw " + what
        time.sleep(0.02)


@contextlib.contextmanager
def three_uplinks():
    with Lab(uplinks=("eth0", "eth1", "eth2")) as lab, ModuleHost(lab.hypervisors[0], lab.directory) as made:
        # udev handles nodes that the kernel makes, and that is in devtmpfs only
        made.run(["mount", "-t", "devtmpfs", "lab-devtmpfs", "/dev"])
        # devtmpfs is the machine's: udev's links go into a directory of our own
        made.run(["sh", "-c", "mkdir -p /dev/macvtap && mount -t tmpfs lab-links /dev/macvtap"])
        try:
            yield made
        finally:
            made.run(["umount", "/dev/macvtap"], check=False)
            made.run(["rmdir", "/dev/macvtap"], check=False)


def start_udev(host):
    need("systemd-udevd")
    host.run(["mkdir", "-p", "/run/udev"])
    daemon = host.spawn([UDEVD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: host.run(["udevadm", "control", "--ping"], check=False).returncode == 0, "udevd")
    return daemon


def play_boot(host, device):
    """Do what macvtap@DEVICE.service does, read from the unit itself; return the exit codes."""
    unit = host.read("/etc/systemd/system/macvtap@.service")
    commands = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("ExecStart=")]
    assert len(commands) == 4
    return [host.run(command.lstrip("-").replace("%I", device).split(), check=False) for command in commands]


def files_of(host):
    listed = host.run(["sh", "-c", FIND])
    return sorted(listed.stdout.split())


def row_of(result, guest, nic=0):
    return next(row for row in result["attachments"] if (row["guest"], row["nic"]) == (guest, nic))


#: Some daemons outlive the test that started them, since a process that changes its user is no longer told of its
#: parent's end.
CLEAN = """
for daemon in systemd-networkd NetworkManager; do
    while pidof $daemon >/dev/null; do kill $(pidof $daemon); sleep 0.05; done
done
rm -rf $(find /etc -name '*macvtap*') /etc/systemd/system/*.d /etc/systemd/network/50-* /etc/dhcpcd.conf /run/udev
"""


@pytest.fixture
def clean_boot(host):
    """The boot files and daemons of one test are not the next one's."""
    host.run(["sh", "-c", CLEAN])
