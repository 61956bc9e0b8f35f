# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The playbooks of the collection as users run them, by their full names: with --check, for real, and once more."""

import json
import re
from html.parser import HTMLParser

import pytest
from libvirt_lab import PLAIN_DOMAIN, Libvirtd

NETWORK = "<network><name>{name}</name><forward mode='{mode}'><interface dev='{device}'/></forward></network>"
#: an element that is no NIC of the guest
METADATA = "  <metadata><a:b xmlns:a='urn:a'><interface type='direct'/></a:b></metadata>\n"
VLAN = "<vlan><tag id='4'/></vlan>"
USER_NIC = "<interface type='user'><mac address='52:54:00:00:00:01'/></interface>"
NETWORK_NIC = (
    "<interface type='network'><mac address='52:54:00:00:00:02'/><source network='{network}'/>"
    "<model type='e1000'/><rom bar='off'/></interface>"
)
DIRECT_NIC = (
    "<interface type='direct' trustGuestRxFilters='yes'><mac address='52:54:00:00:00:03'/>"
    "<source dev='eth1' mode='bridge'/><model type='virtio'/><driver queues='2'/></interface>"
)


def taps(host):
    return sorted(row["ifname"] for row in host.module("macvtap_info")["attachments"])


# -- a first VEPA host -------------------------------------------------------------------------------------------------


def test_first_vepa_host_converges_and_tear_down_leaves_nothing(host, play):
    wanted = {"first_vepa_host_device": "eth0", "first_vepa_host_guests": ["web", "database"]}
    before = host.snapshot()
    changed, output = play("first_vepa_host", "--check", "--diff", **wanted)
    assert changed and "guest=web nic=0" in output, output
    assert host.snapshot() == before

    assert play("first_vepa_host", **wanted)[0] > 0
    changed, output = play("first_vepa_host", **wanted)
    assert changed == 0, output
    told = host.module("macvtap_info")
    assert {row["guest"]: (row["mode"], row["persistent"]) for row in told["attachments"]} == {
        "web": ("vepa", True),
        "database": ("vepa", True),
    }
    for row in told["attachments"]:
        assert "%s: %s with MAC %s" % (row["guest"], row["tap_path"], row["mac"]) in output

    # something else on the same host stays
    host.attach(attachments=[{"guest": "lone", "device": "eth1"}])
    here = host.snapshot()
    changed, output = play("tear_down", "--check", tear_down_networks="vepanet")
    assert changed and "delete macvtap0 of guest web nic 0" in output, output
    assert host.snapshot() == here
    assert play("tear_down", tear_down_networks="vepanet")[0] > 0
    assert play("tear_down", tear_down_networks="vepanet")[0] == 0
    told = host.module("macvtap_info")
    assert (told["networks"], told["boot_only"]) == ([], [])
    assert [row["guest"] for row in told["attachments"]] == ["lone"]


def test_a_switch_that_does_not_reflect_stops_the_first_host(host, play):
    host.switch.set_hairpin(False)
    try:
        _changed, output = play("first_vepa_host", fails=True, first_vepa_host_device="eth0")
    finally:
        host.switch.set_hairpin(True)
    assert "The switch port of eth0" in output and taps(host) == []


def test_a_guest_that_runs_keeps_its_tap_from_being_torn_down(host, play):
    host.network(name="n", devices=["eth0"])
    wanted = [{"guest": "web", "network": "n"}, {"guest": "lone", "device": "eth1"}]
    row, lone = host.attach(attachments=wanted)["attachments"]
    host.hold(row["tap_path"])
    _changed, output = play("tear_down", fails=True, tear_down_everything=True)
    assert "is held open by pid" in output and taps(host) == [row["ifname"], lone["ifname"]]
    play("tear_down", tear_down_everything=True, tear_down_force=True)
    assert taps(host) == [] and host.module("macvtap_info")["networks"] == []


@pytest.mark.parametrize(
    ("name", "variables", "message"),
    [
        ("first_vepa_host", {}, "Set the NIC that the guests share"),
        ("tear_down", {"tear_down_networks": "n", "tear_down_everything": True}, "but not both"),
        ("migrate_from_libvirt", {"migrate_from_libvirt_guests": "web"}, "to lists of names"),
        ("migrate_to_libvirt", {"migrate_to_libvirt_guests": "web"}, "to a list of names"),
    ],
    ids=str,
)
def test_what_is_missing_is_asked_for_in_clear_words(host, play, name, variables, message):
    assert message in play(name, fails=True, **variables)[1]
    assert taps(host) == []


# -- a report of a fleet -----------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page holds: its tags, the cells of its table, and every attribute."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.cells = [], [], []
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        self._in_cell = tag == "td"
        if self._in_cell:
            self.cells.append("")

    def handle_endtag(self, tag):
        self._in_cell = self._in_cell and tag != "td"

    def handle_data(self, data):
        if self._in_cell:
            self.cells[-1] += data


def test_fleet_report_is_one_page_with_problems_first_and_hosts_that_do_not_answer(host, play, tmp_path):
    host.network(name="n", devices=["eth0"])
    hostile = '<script>alert(1)</script>"]-->'
    rows = host.attach(attachments=[{"guest": guest, "network": "n"} for guest in ("web", hostile)])["attachments"]
    host.run(["rm", rows[1]["tap_path"]])
    inventory = tmp_path / "more.json"
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\necho 'No route to host' >&2\nexit 255\n", encoding="utf-8")
    ssh.chmod(0o755)
    away = {"ansible_connection": "ssh", "ansible_ssh_executable": str(ssh)}
    broken = {"ansible_connection": "local", "ansible_python_interpreter": "/bin/false"}
    inventory.write_text(json.dumps({"all": {"hosts": {"away": away, "broken": broken}}}), encoding="utf-8")
    page = tmp_path / "fleet.html"
    wanted = {"fleet_report_file": page.name, "fleet_report_time": "some day", "fleet_report_title": "Rack <1>"}
    before = host.snapshot()
    play("fleet_report", "-i", str(inventory), **wanted)
    text = page.read_text(encoding="utf-8")
    changed, output = play("fleet_report", "-i", str(inventory), "--diff", **wanted)
    assert changed == 0, output
    assert page.read_text(encoding="utf-8") == text
    assert host.snapshot() == before

    found = Page(text)
    assert found.tags.count("svg") == 3 and "script" not in found.tags and "img" not in found.tags
    assert not [value for name, value in found.attributes if name in ("src", "href", "xlink:href")]
    assert text.index('id="problems"') < text.index("<svg")
    table = [found.cells[number : number + 3] for number in range(0, len(found.cells), 3)]
    problems = {(line[0], line[2].split(":")[0]) for line in table}
    assert {("hypervisor0", "node missing"), ("away", "unreachable"), ("broken", "failed")} <= problems
    assert any(hostile in line[1] for line in table)
    assert "Rack &lt;1&gt;" in text and "some day" in text


# -- from libvirt ------------------------------------------------------------------------------------------------------


def test_migrate_from_libvirt_moves_guests_that_rest_and_leaves_those_that_run(host, play):
    libvirtd = Libvirtd(host)

    def inactive(name):
        return libvirtd.virsh("dumpxml", "--inactive", "--security-info", name).stdout

    for name, mode, device in (("vepanet", "vepa", "eth0"), ("storage", "bridge", "eth1")):
        libvirtd.virsh("net-define", "/dev/stdin", input=NETWORK.format(name=name, mode=mode, device=device))
    nat = "<network><name>nat</name><forward mode='nat'/><ip address='198.51.100.1' netmask='255.255.255.0'/></network>"
    libvirtd.virsh("net-define", "/dev/stdin", input=nat)
    # the module does not take one of libvirt's macvtap networks: that stops neither the others nor their guests
    tagged = NETWORK.format(name="tagged", mode="passthrough", device="eth9")
    libvirtd.virsh("net-define", "/dev/stdin", input=tagged.replace("</network>", f"{VLAN}</network>"))
    web = USER_NIC + NETWORK_NIC.format(network="vepanet") + DIRECT_NIC
    filtered = NETWORK_NIC.format(network="nat").replace("<rom", "<filterref filter='clean-traffic'/><rom")
    libvirtd.virsh("define", "/dev/stdin", input=PLAIN_DOMAIN.format(name="web", interfaces=web))
    libvirtd.virsh("define", "/dev/stdin", input=PLAIN_DOMAIN.format(name="runs", interfaces=USER_NIC))
    for name, nics in {
        "later": DIRECT_NIC.replace("00:03", "00:05"),
        "limited": DIRECT_NIC.replace("00:03", "00:06").replace(
            "<driver", "<virtualport type='802.1Qbh'><parameters profileid='p'/></virtualport><driver"
        ),
        "lost": NETWORK_NIC.format(network="nowhere").replace("00:02", "00:07"),
        "R&amp;D": filtered.replace("00:02", "00:09") + DIRECT_NIC.replace("00:03", "00:0a"),
        "natted": NETWORK_NIC.format(network="nat").replace("00:02", "00:08"),
    }.items():
        text = PLAIN_DOMAIN.format(name=name, interfaces=nics)
        libvirtd.virsh("define", "/dev/stdin", input=text.replace("  <memory", METADATA + "  <memory"))
    libvirtd.virsh("start", "--paused", "runs")
    pid = host.run(["pgrep", "-f", "guest=runs"]).stdout.split()
    # its definition says macvtap, for the next start
    runs = NETWORK_NIC.format(network="vepanet").replace("00:02", "00:04")
    libvirtd.virsh(
        "define", "/dev/stdin", input=re.sub("<interface .*</interface>", runs, inactive("runs"), flags=re.S)
    )
    old = {name: inactive(name) for name in ("web", "runs", "later", "limited")}

    both = {"migrate_from_libvirt_guests": ["web", "R&D", "limited", "runs"]}
    before = host.snapshot()
    changed, output = play("migrate_from_libvirt", "--check", "--diff", **both)
    assert changed and "guest=web nic=1" in output and "guest=web nic=2" in output, output
    assert host.snapshot() == before and {name: inactive(name) for name in old} == old

    changed, output = play("migrate_from_libvirt", **both)
    assert re.search(r'"running_and_left_alone": \[\s+"runs"', output), output
    assert re.search(r'"could_move": \[\s+"later"\s+\]', output), output
    assert re.search(
        r'"cannot_move": {\s+"limited": "interface 0 of domain \'limited\' has <virtualport>, .*",\s+'
        r'"lost": "interface 0 of domain \'lost\': network \'nowhere\' is defined neither here .*"\s+}',
        output,
    ), output
    told = host.module("macvtap_info")
    assert [network["name"] for network in told["networks"]] == ["storage", "vepanet"]
    assert [row["nic"] for row in told["attachments"] if row["guest"] == "R&D"] == [1]
    rows = {row["nic"]: row for row in told["attachments"] if row["guest"] == "web"}
    assert {nic: (row["guest"], row["device"], row["mac"], row["persistent"]) for nic, row in rows.items()} == {
        1: ("web", "eth0", "52:54:00:00:00:02", True),
        2: ("web", "eth1", "52:54:00:00:00:03", True),
    }
    assert all(inactive(name) == old[name] for name in ("runs", "later", "limited"))
    assert host.run(["pgrep", "-f", "guest=runs"]).stdout.split() == pid
    new = inactive("web")
    for text in ("passwd='secret'", "<model type='e1000'/>", "<rom bar='off'/>", "<driver queues='2'/>", "type='user'"):
        assert text in new, new
    assert re.findall(r"<address .*?/>", new) == re.findall(r"<address .*?/>", old["web"])
    assert new.count("type='ethernet'") == new.count("managed='no'") == 2
    mixed = inactive("R&D")
    assert "<source network='nat'/>" in mixed and "clean-traffic" in mixed and mixed.count("type='ethernet'") == 1
    assert '<interface type="direct"/>' in mixed.partition("</metadata>")[0]
    backup = host.read("/etc/macvtap/before/web.xml")
    assert backup.strip() == old["web"].strip() and host.node("/etc/macvtap/before/web.xml")[2] == "600"
    changed, output = play("migrate_from_libvirt", **both)
    assert changed == 0, output

    # the guest starts on its links, and libvirt leaves them
    libvirtd.virsh("start", "--paused", "web")
    web_pid = host.run(["pgrep", "-f", "guest=web"]).stdout.split()[0]
    opened = host.run(["sh", "-c", f"readlink /proc/{web_pid}/fd/*"]).stdout.split("\n")
    assert [opened.count(rows[nic]["tap_path"]) for nic in (1, 2)] == [1, 2]
    libvirtd.virsh("destroy", "web")
    assert taps(host) == sorted(row["ifname"] for row in told["attachments"])
    libvirtd.virsh("destroy", "runs")
    # the files of the next boot are not among what every test clears
    host.module("macvtap_persist", state="absent", guest=["web", "R&D"])


def test_migrate_from_files_needs_no_virsh(host, play, tmp_path):
    (tmp_path / "net.xml").write_text(NETWORK.format(name="n", mode="vepa", device="eth0"), encoding="utf-8")
    domain = PLAIN_DOMAIN.format(name="web", interfaces=USER_NIC + NETWORK_NIC.format(network="n"))
    (tmp_path / "web.xml").write_text(domain, encoding="utf-8")
    files = {
        "migrate_from_libvirt_network_files": [str(tmp_path / "net.xml")],
        "migrate_from_libvirt_guest_files": [str(tmp_path / "web.xml")],
    }
    assert play("migrate_from_libvirt", **files)[0] > 0
    changed, output = play("migrate_from_libvirt", **files)
    (row,) = host.module("macvtap_info")["attachments"]
    assert changed == 0 and (row["guest"], row["nic"]) == ("web", 1)
    assert row["ifname"] in output and "managed='no'" in output


# -- long work, as Ansible does it -------------------------------------------------------------------------------------

LONG = """
- hosts: all
  gather_facts: false
  vars:
    guests: "{{ range(40) | map('regex_replace', '^', 'guest') }}"
  tasks:
    - name: In the background, looked after every second
      linuxnet.macvtap.macvtap_attach:
        attachments: "{{ dict(guests[:20] | product(['eth0'])) | dict2items(key_name='guest', value_name='device') }}"
      async: 120
      poll: 1
    - name: In batches, each with a line of its own
      linuxnet.macvtap.macvtap_attach:
        attachments: "{{ dict(item | product(['eth0'])) | dict2items(key_name='guest', value_name='device') }}"
      loop: "{{ guests | batch(20) }}"
      loop_control:
        label: "{{ item | first }} to {{ item | last }}"
"""


def test_long_work_in_the_background_and_in_batches(host, ansible, tmp_path):
    playbook = tmp_path / "long.yml"
    playbook.write_text(LONG, encoding="utf-8")
    for changed in (2, 0):
        status, output = ansible("ansible-playbook", str(playbook))
        assert (status, ansible.changed()) == (0, changed), output
        assert "ASYNC OK on hypervisor0" in output and "(item=guest20 to guest39)" in output
    assert len(taps(host)) == 40
