# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode predicts what depends on an earlier task: guests on a network that is not defined yet, and its removal."""

import json

import pytest

NETWORK = "<network><name>vepanet</name><forward mode='vepa' dev='eth0'/><portgroup name='gold'/></network>"
DOMAIN = (
    "<domain><name>db</name><devices><interface type='network'>"
    "<source network='vepanet' portgroup='%s'/></interface></devices></domain>"
)


ROLE = "linuxnet.macvtap.vepa_network"
BOTH_WAYS = pytest.mark.parametrize("how", ["keyword", "option"], ids=["check_mode: true", "--check"])


@pytest.fixture
def play(ansible, tmp_path):
    """Run a play; returns (status, number of changed tasks, output).

    ``check``: False, or how check mode is asked for: by the "option" or the "keyword".
    """

    def run(check=False, **parts):
        playbook = tmp_path / "play.yml"
        # false would do it for real, also under --check
        keyword = {"check_mode": True} if check == "keyword" else {}
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, **parts, **keyword}]), encoding="utf-8")
        status, output = ansible("ansible-playbook", str(playbook), *(["--check"] if check == "option" else []))
        return status, ansible.changed(), output

    return run


@BOTH_WAYS
def test_a_fresh_host_is_predicted(host, play, how):
    def run(group, check):
        variables = {
            "vepa_network_xml": NETWORK,
            "vepa_network_guests": [{"name": "web", "nics": [{}]}, {"name": "db", "xml": DOMAIN % group}],
        }
        return play(check and how, roles=[ROLE], vars=variables)

    before = host.snapshot()
    status, _changed, output = run("silver", check=True)
    assert status and "silver" in output and "gold" in output
    status, changed, output = run("gold", check=True)
    assert (status, changed) == (0, 3), output
    assert host.snapshot() == before
    assert run("gold", check=False)[:2] == (0, 3)
    assert run("gold", check=True)[:2] == (0, 0)


@BOTH_WAYS
def test_the_removal_is_predicted(host, play, how):
    guests = [{"name": "web", "nics": [{}]}, {"name": "db", "xml": DOMAIN % "gold"}]
    variables = {"vepa_network_xml": NETWORK, "vepa_network_guests": guests}
    play(roles=[ROLE], vars=variables)
    before = host.snapshot()
    absent = {**variables, "vepa_network_state": "absent"}
    for some in (guests[:1], guests[1:]):
        status, changed, output = play(how, roles=[ROLE], vars={**absent, "vepa_network_guests": some})
        assert (status != 0, changed) == (True, 1), output
        assert "has 1 live attachments" in output and "WARNING" not in output
    status, changed, output = play(how, roles=[ROLE], vars=absent)
    assert (status, changed, "WARNING" in output) == (0, 3, False), output
    assert host.snapshot() == before
    assert play(roles=[ROLE], vars=absent)[:2] == (0, 3)
    assert play(how, roles=[ROLE], vars=absent)[:2] == (0, 0)
    assert host.links() == {}


DEFINE = {"linuxnet.macvtap.macvtap_network": {"name": "n", "devices": ["eth0"]}, "register": "n"}
ATTACH = {"guest": "web", "attachments": [{"network": "n"}]}
DETACH = {"linuxnet.macvtap.macvtap_attach": {"network": "n", "state": "absent"}, "register": "gone"}
REMOVE = {"name": "n", "state": "absent"}


def test_two_tasks_of_ones_own_are_predicted(host, play):
    attach = {"linuxnet.macvtap.macvtap_attach": {**ATTACH, "networks": ["{{ n.network }}"]}}
    before = host.snapshot()
    status, changed, output = play("option", tasks=[DEFINE, attach])
    assert (status, changed) == (0, 2), output
    assert host.snapshot() == before
    assert play(tasks=[DEFINE, attach])[:2] == (0, 2)
    assert play("option", tasks=[DEFINE, attach])[:2] == (0, 0)

    remove = {"linuxnet.macvtap.macvtap_network": {**REMOVE, "detached": "{{ gone.attachments }}"}}
    before = host.snapshot()
    status, changed, output = play("option", tasks=[DETACH, remove])
    assert (status, changed, "WARNING" in output) == (0, 2, False), output
    assert host.snapshot() == before
    assert play(tasks=[DETACH, remove])[:2] == (0, 2)
    assert play("option", tasks=[DETACH, remove])[:2] == (0, 0)


def test_two_tasks_that_hand_nothing_over_are_predicted_with_a_warning_or_stopped(host, play):
    attach = {"linuxnet.macvtap.macvtap_attach": ATTACH}
    status, _changed, output = play("option", tasks=[DEFINE, attach])
    assert status and "in check mode, pass that task's network in networks" in output, output
    assert play(tasks=[DEFINE, attach])[:2] == (0, 2)
    remove = {"linuxnet.macvtap.macvtap_network": REMOVE}
    status, changed, output = play("option", tasks=[DETACH, remove])
    assert (status, changed) == (0, 2), output
    assert "only if an earlier task has detached them" in " ".join(output.split()), output
    assert play(tasks=[DETACH, remove])[:2] == (0, 2)


@pytest.mark.parametrize("state", ["present", "absent"])
def test_guests_that_do_not_say_once_which_nics_they_have_are_refused_by_name(host, play, state):
    guests = [
        {"name": "good", "nics": [{}]},
        {"name": "silent"},
        {"name": "unset", "nics": None, "xml": ""},
        {"name": "both", "nics": [{}], "xml": DOMAIN % "gold"},
    ]
    variables = {"vepa_network_xml": NETWORK, "vepa_network_state": state, "vepa_network_guests": guests}
    before = host.snapshot()
    status, _changed, output = play(roles=[ROLE], vars=variables)
    assert status and "needs either nics (a list of NICs, which may be empty) or xml" in output
    assert "Neither: silent, unset. Both: both." in output, output
    assert host.snapshot() == before


def test_guests_that_leave_one_way_empty_are_not_refused(host, play):
    guests = [
        {"name": "bare", "nics": []},
        {"name": "web", "nics": [{}], "xml": ""},
        {"name": "db", "nics": [], "xml": DOMAIN % "gold"},
    ]
    status, _changed, output = play(roles=[ROLE], vars={"vepa_network_xml": NETWORK, "vepa_network_guests": guests})
    assert status == 0, output
    assert sorted(row["guest"] for row in host.module("macvtap_info")["attachments"]) == ["db", "web"]
