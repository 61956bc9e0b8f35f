# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names that mean something else to the files of a boot, to a terminal, or to another locale."""

import json
import subprocess
import sys

import pytest
from module_host import ATTACH, DEFINITIONS, ModuleFailed, warnings
from persist_lab import PERSIST, files_of

#: Calls itself by a name that clears the screen, and holds a tap.
HOLDER = r"""
import ctypes, os, sys
ctypes.CDLL(None).prctl(15, b"\x1b[2J\x1b]0;x\x07", 0, 0, 0)
tap = os.open(sys.argv[1], os.O_RDWR)
print("held", flush=True)
sys.stdin.read()
"""
#: Python takes names of files for ASCII then, and those of 1.0 could not be opened.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.usefixtures("clean_boot")
@pytest.mark.parametrize("ifname", ["lo", "eth0", "eth1", "all", "default"])
def test_no_row_makes_the_boot_disable_ipv6_on_another_device(host, ifname):
    row = host.attach(attachments=[{"guest": "a", "device": "eth0"}])["attachments"][0]
    before = files_of(host)
    for check in (True, False):
        with pytest.raises(ModuleFailed) as failed:
            host.module(PERSIST, attachments=[{**row, "ifname": ifname}], check=check)
        assert f"'{ifname}'" in failed.value.message or f" {ifname} " in failed.value.message
    assert files_of(host) == before


@pytest.mark.usefixtures("clean_boot")
def test_nor_does_one_in_an_image(host):
    row = host.attach(attachments=[{"guest": "a", "device": "eth0"}])["attachments"][0]
    host.run(["sh", "-c", "rm -rf /var/tmp/image && mkdir -p /var/tmp/image/etc"])
    for ifname in ("lo", "eth0"):
        with pytest.raises(ModuleFailed, match=f"the ifname {ifname} is the name of a lower device or of the loopback"):
            host.module(PERSIST, attachments=[{**row, "ifname": ifname}], root="/var/tmp/image")
    other = {**row, "guest": "b", "ifindex": row["ifindex"] + 1, "device": "macvtap9", "ifname": "macvtap8"}
    host.module(PERSIST, attachments=[other], root="/var/tmp/image")
    with pytest.raises(ModuleFailed, match="the ifname macvtap9 is the name of a lower device"):
        host.module(PERSIST, attachments=[{**row, "ifname": "macvtap9"}], root="/var/tmp/image")


@pytest.mark.usefixtures("clean_boot")
def test_a_link_in_an_image_that_leads_to_this_host_is_not_written_through(host):
    row = host.attach(attachments=[{"guest": "a", "device": "eth0"}])["attachments"][0]
    host.run(["sh", "-c", "rm -rf /var/tmp/image && mkdir -p /var/tmp/image/etc && echo mine >/var/tmp/host.conf"])
    host.run(["ln", "-s", "/var/tmp/host.conf", "/var/tmp/image/etc/dhcpcd.conf"])
    with pytest.raises(ModuleFailed, match=r"/var/tmp/image/etc/dhcpcd.conf is a symbolic link that leads out of root"):
        host.module(PERSIST, attachments=[row], root="/var/tmp/image")
    assert host.read("/var/tmp/host.conf") == "mine"


@pytest.mark.usefixtures("clean_boot")
def test_a_configuration_behind_a_symbolic_link_stays_there(host):
    host.run(["sh", "-c", "echo '# mine' >/etc/real.conf && ln -s real.conf /etc/dhcpcd.conf"])
    row = host.attach(attachments=[{"guest": "a", "device": "eth0"}])["attachments"][0]
    host.module(PERSIST, attachments=[row])
    assert host.run(["readlink", "/etc/dhcpcd.conf"]).stdout == "real.conf\n"
    assert "denyinterfaces " + row["ifname"] in host.read("/etc/real.conf")
    host.module(PERSIST, state="absent", guest=["a"])
    assert host.run(["readlink", "/etc/dhcpcd.conf"]).stdout == "real.conf\n"
    assert host.read("/etc/real.conf") == "# mine"


def test_a_network_whose_name_begins_with_a_dot_is_listed(host):
    host.network(name=".foo", devices=["eth0"])
    # an editor's lock beside the file: a link to nowhere
    host.run(["ln", "-s", "me@here:1", DEFINITIONS + "/.#bar.xml"])
    assert [network["name"] for network in host.module("macvtap_info")["networks"]] == [".foo"]
    assert host.attach(attachments=[{"guest": "a", "network": ".foo"}])["changed"]


def test_no_escape_sequence_of_a_process_reaches_the_terminal(host):
    row = host.attach(attachments=[{"guest": "a", "device": "eth0"}])["attachments"][0]
    command = [sys.executable, "-c", HOLDER, row["tap_path"]]
    holders = [host.spawn(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _number in range(2)]
    for holder in holders:
        assert holder.stdout.readline() == "held\n"
    sentence = host.refusal(ATTACH, state="absent", guest="a")
    info = host.module("macvtap_info")
    for text in (sentence, *warnings(info), *info["attachments"][0]["problems"]):
        assert "\x1b" not in text and "\x07" not in text
    assert r"(\x1b[2J\x1b]0;x\x07)" in sentence
    for holder in holders:
        holder.stdin.close()
        holder.wait()


def test_names_are_the_same_in_every_locale(host, ansible, tmp_path):
    """Ansible itself asks for UTF-8; a task's environment may undo that."""
    for number, environment in enumerate((ASCII, {})):
        playbook = tmp_path / "site.yml"
        tasks = [
            {"linuxnet.macvtap.macvtap_network": {"name": "网络 ü", "devices": ["eth0"]}},
            {
                "linuxnet.macvtap." + ATTACH: {
                    "attachments": [{"guest": "gäst", "network": "网络 ü"}],
                    "device_owner": "root",
                }
            },
            {"linuxnet.macvtap.macvtap_info": {"network": "网络 ü"}, "register": "found"},
            {"ansible.builtin.assert": {"that": "found.attachments[0].guest == 'gäst'"}},
        ]
        play = {"hosts": "all", "gather_facts": False, "environment": environment, "tasks": tasks}
        playbook.write_text(json.dumps([play]), encoding="utf-8")
        status, output = ansible("ansible-playbook", str(playbook))
        assert status == 0 and (ansible.changed() == 0) == bool(number), output
    assert host.run(["ls", DEFINITIONS]).stdout == "网络 ü.xml\n"
