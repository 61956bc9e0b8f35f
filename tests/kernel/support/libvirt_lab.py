# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The distribution's own libvirtd in a hypervisor of the lab, and a domain that boots the test guest."""

import os
import subprocess
import sys
import time

CONSOLE = "/var/log/libvirt/qemu/web.console"
DOMAIN = """\
<domain type='qemu'>
  <name>web</name>
  <memory unit='MiB'>128</memory>
  <vcpu>{vcpus}</vcpu>
  <os>
    <type arch='x86_64'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{append}</cmdline>
  </os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <serial type='file'><source path='{console}'/><target port='0'/></serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    {interface}
  </devices>
</domain>
"""

#: Does udev's work in the lab's /dev, for links that libvirt made.
MAKE_NODES = r"""
import glob, os, time
while True:
    for path in glob.glob("/sys/class/net/*/macvtap/tap*/dev"):
        node = "/dev/" + path.split("/")[-2]
        try:
            with open(path) as file:
                os.mknod(node, 0o20600, os.makedev(*map(int, file.read().split(":"))))
        except OSError:
            pass
    time.sleep(0.01)
"""

#: a domain without anything to boot; its interfaces are still to be named
PLAIN_DOMAIN = """\
<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>32</memory>
  <os><type arch='x86_64'>hvm</type></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
    <graphics type='vnc' passwd='secret'/>
    {interfaces}
  </devices>
</domain>
"""


class Libvirtd:
    """libvirtd in a hypervisor; it ends with the lab.

    :arg make_nodes: whether something has to make the nodes that libvirt waits for.
    """

    def __init__(self, host, make_nodes=False):
        self.host = host
        if make_nodes:
            host.spawn([sys.executable, "-I", "-c", MAKE_NODES])
        # A lab's mounts cannot be moved, and it has no control groups; neither has to do with links.
        host.run(["tee", "-a", "/etc/libvirt/qemu.conf"], input="namespaces = []\ncgroup_controllers = []\n")
        # libvirt asks QEMU again at every start and definition while a KVM that QEMU sees is closed to the guests' user
        host.run(["rm", "-f", "/dev/kvm"])
        quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        for daemon in ("virtlogd", "libvirtd"):
            host.spawn([daemon], **quiet)
        self.wait(lambda: self.virsh("uri", check=False).returncode == 0, "libvirtd to answer")
        host.run(["sh", "-c", f"mkdir -p {os.path.dirname(CONSOLE)}; install -m 666 /dev/null {CONSOLE}"])

    def wait(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
            time.sleep(0.1)

    def virsh(self, *words, **options):
        return self.host.run(["virsh", "--quiet", "--connect", "qemu:///system", *words], **options)

    def define(self, name, inside, command="net-define"):
        """Give libvirt a network."""
        self.virsh(command, "/dev/stdin", input=f"<network><name>{name}</name>{inside}</network>")

    def shut_down(self):
        """Press the power button of *web* and wait for its end."""
        self.virsh("shutdown", "--mode", "acpi", "web")
        self.wait(lambda: self.virsh("domstate", "web", check=False).stdout.strip() != "running", "the domain to end")

    def pid(self):
        """The process of *web*."""
        return self.host.run(["pgrep", "-f", "guest=web"]).stdout.split()[0]

    def openings(self, path):
        """How often *web* has this tap open."""
        opened = self.host.run(["sh", "-c", f"readlink /proc/{self.pid()}/fd/*"]).stdout.split("\n")
        return opened.count(path)
