# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The distribution's own libvirtd as the client of our links: it uses the tap, and leaves the link as it was."""

import pytest
from libvirt_lab import CONSOLE, DOMAIN, Libvirtd
from qemu_lab import Guest, guest_image, lone_host


class Client(Libvirtd):
    """libvirtd in a hypervisor, and the domain *web* on one of our links."""

    def __init__(self, host, boot):
        super().__init__(host)
        # Not started by us, only attached: its command line serves for the domain.
        self.web = Guest(host, boot, "web", nics=[{"queues": 2}], addresses=[["192.0.2.101/24"]], ping=["192.0.2.1"])
        self.web.console = CONSOLE
        self.attachment = self.web.attachments[0]

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
    link = client.attachment["ifname"]
    client.host.run(["tc", "qdisc", "replace", "dev", link, "root", "pfifo"])
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
    assert client.openings(client.attachment["tap_path"]) == 2
    assert client.changed_since(before) == {}
    # It made no link of its own.
    assert list(client.host.links()) == [client.attachment["ifname"]]

    client.shut_down()
    assert client.changed_since(before) == {}
    assert (before["qdisc"], client.facts()["qdisc"]) == ("pfifo", "noqueue")
    again = client.host.attach(guest="web", attachments=[{"device": "eth0", "queues": 2}], check=True)
    assert again["changed"] is False


def test_the_same_link_serves_a_second_run(client):
    client.start()
    assert client.openings(client.attachment["tap_path"]) == 2
    client.virsh("destroy", "web")
    assert (
        client.host.attach(guest="web", attachments=[{"device": "eth0", "queues": 2}], check=True)["changed"] is False
    )
