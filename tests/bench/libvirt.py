# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real libvirt in a hypervisor of the lab, creating and destroying guests with many NICs.

libvirt opens ``/dev/tapN`` right after the link is made, so this hypervisor gets the kernel's own devtmpfs. That is one
for the whole machine and its nodes carry ifindexes, which start anew in every namespace: those likely to be in use by
others are used up first.
"""

import os
import shutil
import statistics
import time

from .contenders import LOWER, BenchError, Sample, inside

COMMANDS = ("libvirtd", "virtlogd", "virsh", "qemu-system-x86_64")
BURNT_INDEXES = 4000
REPEATS = 5

START = """\
set -e
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mkdir -p /run/libvirt /var/lib/libvirt /var/log/libvirt/qemu
# resource limits are not what is measured, and the control groups of the machine are not this namespace's
echo 'cgroup_controllers = [ ]' >>/etc/libvirt/qemu.conf
virtlogd -d </dev/null >/dev/null 2>&1
libvirtd -d </dev/null >/dev/null 2>&1
"""

DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <emulator>{emulator}</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
{interfaces}  </devices>
</domain>
"""
INTERFACE = """\
    <interface type='direct'><source dev='{lower}' mode='vepa'/><mac address='52:54:00:be:00:{number:02x}'/>
      <model type='virtio'/></interface>
"""


def missing():
    """Return what of libvirt and QEMU this machine lacks."""
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    return [command for command in COMMANDS if not shutil.which(command, path=path)]


class Libvirt:
    """A guest with many NICs, less the same guest without; per NIC, extrapolated to all."""

    name = "libvirt"

    def __init__(self, hypervisor, nics):
        self._hypervisor = hypervisor
        self._nics = nics
        hypervisor.ip(*(f"link add burn{number} link {LOWER} type macvlan" for number in range(BURNT_INDEXES)))
        hypervisor.ip(*(f"link set burn{number} group 77" for number in range(BURNT_INDEXES)), "link del group 77")
        hypervisor.run(["sh", "-c", START])
        emulator = shutil.which("qemu-system-x86_64")
        for name, count in (("bare", 0), ("full", nics)):
            interfaces = "".join(INTERFACE.format(lower=LOWER, number=number) for number in range(count))
            domain = DOMAIN.format(name=name, emulator=emulator, interfaces=interfaces)
            hypervisor.run(["sh", "-c", f"cat >/run/{name}.xml"], input=domain)
        deadline = time.monotonic() + 30
        while hypervisor.run(["virsh", "-c", "qemu:///system", "version"], check=False).returncode:
            if time.monotonic() > deadline:
                raise BenchError("libvirtd does not answer")
            time.sleep(0.2)

    def turn(self, size):
        """Create and destroy; the median of some, since what QEMU's start takes varies more than what a NIC adds."""
        times = {name: ([], []) for name in ("bare", "full")}
        for _repeat in range(REPEATS):
            for name, (create, remove) in times.items():
                create.append(self._virsh("create", "--paused", f"/run/{name}.xml"))
                remove.append(self._virsh("destroy", name))
        for operation, bare, full in zip(("create", "remove"), times["bare"], times["full"]):
            without = statistics.median(bare)
            yield Sample(
                operation, size, self._nics, statistics.median(full) - without, more={"guest without NICs": without}
            )

    def _virsh(self, *words):
        answer = inside(self._hypervisor, {"command": ["virsh", "-q", "-c", "qemu:///system", *words]})
        return answer["seconds"]
