# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role in check mode predicts guests on a network that it has not defined yet, port groups and all."""

import json

import pytest

NETWORK = "<network><name>vepanet</name><forward mode='vepa' dev='eth0'/><portgroup name='gold'/></network>"
DOMAIN = (
    "<domain><name>db</name><devices><interface type='network'>"
    "<source network='vepanet' portgroup='%s'/></interface></devices></domain>"
)


@pytest.mark.parametrize("keyword", [True, False], ids=["check_mode: true", "--check"])
def test_a_fresh_host_is_predicted(host, ansible, tmp_path, keyword):
    def run(group, check):
        variables = {
            "vepa_network_xml": NETWORK,
            "vepa_network_guests": [{"name": "web", "nics": [{}]}, {"name": "db", "xml": DOMAIN % group}],
        }
        play = {"hosts": "all", "gather_facts": False, "roles": ["linuxnet.macvtap.vepa_network"], "vars": variables}
        playbook = tmp_path / "play.yml"
        # false would do it for real, also under --check
        play.update({"check_mode": True} if check and keyword else {})
        playbook.write_text(json.dumps([play]), encoding="utf-8")
        words = ["--check"] if check and not keyword else []
        status, output = ansible("ansible-playbook", str(playbook), *words)
        return status, int(output.split("changed=")[1].split()[0]), output

    before = host.snapshot()
    status, _changed, output = run("silver", check=True)
    assert status and "silver" in output and "gold" in output
    status, changed, output = run("gold", check=True)
    assert (status, changed) == (0, 3), output
    assert host.snapshot() == before
    assert run("gold", check=False)[:2] == (0, 3)
    assert run("gold", check=True)[:2] == (0, 0)
