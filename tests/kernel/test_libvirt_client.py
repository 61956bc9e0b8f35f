# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The distribution's own libvirtd as the client of our links: it uses the tap, and leaves the link as it was."""

import os
import subprocess
import time

import pytest
from qemu_lab import Guest, guest_image, lone_host

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


class Client:
    """libvirtd in a hypervisor, and the domain *web* on one of our links."""

    def __init__(self, host, boot):
        self.host = host
        # A lab's mounts cannot be moved, and it has no control groups; neither has to do with links.
        host.run(["tee", "-a", "/etc/libvirt/qemu.conf"], input="namespaces = []\ncgroup_controllers = []\n")
        quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
        for daemon in ("virtlogd", "libvirtd"):
            host.spawn([daemon], **quiet)
        self._wait(lambda: self.virsh("uri", check=False).returncode == 0, "libvirtd to answer")
        # Not started by us, only attached: its command line serves for the domain.
        self.web = Guest(host, boot, "web", nics=[{"queues": 2}], addresses=[["192.0.2.101/24"]], ping=["192.0.2.1"])
        self.web.console = CONSOLE
        self.attachment = self.web.attachments[0]
        host.run(["sh", "-c", f"mkdir -p {os.path.dirname(CONSOLE)}; install -m 666 /dev/null {CONSOLE}"])

    def _wait(self, condition, what, seconds=60):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
            time.sleep(0.1)

    def virsh(self, *words, **options):
        return self.host.run(["virsh", "--quiet", "--connect", "qemu:///system", *words], **options)

    def start(self):
        options = self.web.options
        text = DOMAIN.format(
            vcpus=2,
            kernel=options["kernel"],
            initrd=options["initrd"],
            append=options["append"],
            console=CONSOLE,
            interface=self.attachment["libvirt_xml"],
        )
        self.virsh("create", "/dev/stdin", input=text)

    def shut_down(self):
        self.virsh("shutdown", "--mode", "acpi", "web")
        self._wait(lambda: self.virsh("domstate", "web", check=False).returncode != 0, "the domain to end")

    def pid(self):
        return self.host.run(["pgrep", "-f", "guest=web"]).stdout.split()[0]

    def openings(self):
        """How often the domain has our tap open."""
        opened = self.host.run(["sh", "-c", f"readlink /proc/{self.pid()}/fd/*"]).stdout.split("\n")
        return opened.count(self.attachment["tap_path"])

    def facts(self):
        """Everything of link and node that libvirt could change."""
        facts = self.host.link(self.attachment["ifname"])
        return {**facts, "node": self.host.node(self.attachment["tap_path"])}

    def changed_since(self, before):
        """What is not as before: key → (before, now).

        But for the queueing discipline: libvirt takes it from every tap that a guest uses (virNetDevSetRootQDisc),
        since the guest has queues of its own.
        """
        now = {**self.facts(), "qdisc": before["qdisc"]}
        return {key: (before.get(key), now.get(key)) for key in before.keys() | now if before.get(key) != now.get(key)}


@pytest.fixture(scope="module")
def client():
    with lone_host() as host, guest_image() as boot:
        yield Client(host, boot)


def test_a_domain_runs_unprivileged_on_our_tap_and_leaves_it_as_it_was(client):
    before = client.facts()
    client.start()
    client.web.wait_for("ready")
    assert client.web.reaches("192.0.2.1")
    assert f"mac={client.attachment['mac']} " in client.web.wait_for("nic eth0").group(0)

    pid = client.pid()
    status = client.host.read(f"/proc/{pid}/status")
    uid = client.host.run(["id", "-u", "libvirt-qemu"]).stdout.strip()
    assert f"\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in status
    assert "\nCapEff:\t0000000000000000\n" in status
    assert client.openings() == 2
    assert client.changed_since(before) == {}
    # It made no link of its own.
    assert list(client.host.links()) == [client.attachment["ifname"]]

    client.shut_down()
    assert client.changed_since(before) == {}
    again = client.host.attach(guest="web", attachments=[{"device": "eth0", "queues": 2}], check=True)
    assert again["changed"] is False


def test_the_same_link_serves_a_second_run(client):
    client.start()
    assert client.openings() == 2
    client.virsh("destroy", "web")
    assert (
        client.host.attach(guest="web", attachments=[{"device": "eth0", "queues": 2}], check=True)["changed"] is False
    )
