# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The modules as Ansible runs them: ad hoc and in playbooks, by short and by full name, with --check and --diff."""

import json

from module_host import CHECKOUT

PLAYBOOK = """
- hosts: all
  gather_facts: false
  module_defaults:
    group/linuxnet.macvtap.macvtap:
      definitions_dir: /etc/macvtap/elsewhere
  tasks:
    - linuxnet.macvtap.macvtap_network:
        name: vepanet
        devices: [eth0]
    - linuxnet.macvtap.macvtap_attach:
        attachments:
          - guest: web
            network: vepanet
      register: taps
    - ansible.builtin.debug:
        msg: "PATH={{ taps.tap_paths[0] }}"
"""


def test_ad_hoc_by_full_name(host, ansible):
    words = ("all", "-m", "linuxnet.macvtap.macvtap_network", "-a", "name=vepanet devices=eth0")
    status, output = ansible("ansible", *words)
    assert (status, "CHANGED" in output) == (0, True), output
    status, output = ansible("ansible", *words)
    assert (status, "SUCCESS" in output, '"changed": false' in output) == (0, True, True), output


def test_ad_hoc_by_short_name_from_the_checkout(host, ansible):
    config = CHECKOUT / "ansible.cfg"
    environment = {"ANSIBLE_LIBRARY": str(CHECKOUT / "plugins" / "modules")}
    status, output = ansible(
        "ansible", "all", "-m", "macvtap_network", "-a", "name=vepanet devices=eth0", config=config, **environment
    )
    assert (status, "CHANGED" in output) == (0, True), output


def test_check_and_diff_tell_and_change_nothing(host, ansible):
    arguments = json.dumps({"attachments": [{"guest": "web", "device": "eth0"}]})
    words = ("all", "-m", "linuxnet.macvtap.macvtap_attach", "-a", arguments)
    status, output = ansible("ansible", *words, "--check", "--diff")
    assert status == 0, output
    assert "create macvtap0 of guest web nic 0" in output and '+    "macvtap0"' in output
    assert host.links() == {}
    status, output = ansible("ansible", *words, "--diff")
    assert status == 0 and list(host.links()) == ["macvtap0"], output


def test_what_was_asked_for_is_shown_where_ansible_shows_it(host, ansible):
    arguments = json.dumps({"attachments": [{"guest": "web", "device": "eth0"}]})
    words = ("all", "-m", "linuxnet.macvtap.macvtap_attach", "-a", arguments, "--check")
    status, output = ansible("ansible", *words, "-vvv")
    invocation = output.split('"invocation": {')[1]
    assert status == 0 and '"attachments": [' in invocation and '"device": "eth0"' in invocation, output


def test_a_refusal_is_one_sentence_and_no_traceback(host, ansible):
    arguments = json.dumps({"attachments": [{"guest": "web", "device": "lo"}]})
    status, output = ansible("ansible", "all", "-m", "linuxnet.macvtap.macvtap_attach", "-a", arguments)
    assert status != 0 and "is the loopback device" in output and "Traceback" not in output, output


def test_a_playbook_with_defaults_for_the_group_converges(host, ansible, tmp_path):
    playbook = tmp_path / "site.yml"
    playbook.write_text(PLAYBOOK, encoding="utf-8")
    status, output = ansible("ansible-playbook", str(playbook))
    assert (status, ansible.changed()) == (0, 2), output
    path = output.split("PATH=")[1].split('"')[0]
    assert host.node(path)[0] == "character special file"
    assert host.node("/etc/macvtap/elsewhere/vepanet.xml") is not None
    status, output = ansible("ansible-playbook", str(playbook))
    assert (status, ansible.changed()) == (0, 0), output
