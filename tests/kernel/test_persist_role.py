# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role writes down what the next boot makes, and takes out again what is its own."""

import json

import pytest

VARIABLES = {
    "vepa_network_name": "vepanet",
    "vepa_network_devices": ["eth0"],
    "vepa_network_guests": [
        {"name": "web", "nics": [{}]},
        {"name": "db", "nics": [{"device": "eth1", "mode": "bridge"}]},
        {"name": "xml", "xml": "<domain><name>xml</name><devices><interface type='network'>"
         "<source network='vepanet'/></interface></devices></domain>"},
    ],
}  # fmt: skip
PLAY = [{"hosts": "all", "gather_facts": False, "roles": ["linuxnet.macvtap.vepa_network"], "vars": VARIABLES}]


@pytest.fixture
def role(ansible, tmp_path):
    """Run the role with more variables; return (number of changed tasks, output)."""
    playbook = tmp_path / "play.yml"
    playbook.write_text(json.dumps(PLAY), encoding="utf-8")

    def run(*words, **variables):
        named = {"vepa_network_" + name: value for name, value in variables.items()}
        status, output = ansible("ansible-playbook", str(playbook), "--extra-vars", json.dumps(named), *words)
        assert status == 0, output
        return ansible.changed(), output

    return run


def booted(host):
    """The guests for which the next boot makes a link."""
    return {row["guest"] for row in host.module("macvtap_persist", attachments=[], check=True)["entries"]}


def test_persist_false_after_true_takes_out_what_is_the_roles_and_says_so(host, role):
    # as earlier runs left it, with somebody's own guest beside
    host.network(name="vepanet", devices=["eth0"])
    nics = [{"guest": guest, "network": "vepanet"} for guest in ("web", "xml", "gone")]
    nics += [{"guest": guest, "device": "eth1", "mode": "bridge"} for guest in ("db", "other")]
    host.module("macvtap_persist", attachments=host.attach(attachments=nics)["attachments"])
    host.detach(guest="gone")
    links = host.links()

    changed, foretold = role("--check")
    assert changed and booted(host) == {"web", "db", "xml", "gone", "other"}
    changed, said = role()
    assert changed and booted(host) == {"other"} and host.links().keys() == links.keys()
    for guest in ("web", "db", "xml", "gone"):
        words = "of guest %s nic 0" % guest
        told = [[line for line in output.splitlines() if words in line] for output in (foretold, said)]
        assert told[0] == told[1] and told[0]
    host.module("macvtap_persist", state="absent", guest=["other"])


def test_purge_and_absent_take_out_what_is_listed_also_where_the_links_are_gone(host, role):
    web, db, xml = VARIABLES["vepa_network_guests"]
    db = {**db, "nics": db["nics"] * 2}
    role(persist=True, guests=[web, db, xml])
    assert booted(host) == {"web", "db", "xml"}
    role(persist=True, purge=True, guests=[{**web, "nics": []}, xml])
    assert booted(host) == {"db", "xml"}
    for guest in ("db", "xml"):
        host.detach(guest=guest)
    role(state="absent", guests=[db])
    assert booted(host) == set()
