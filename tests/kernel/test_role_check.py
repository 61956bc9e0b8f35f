# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode predicts what depends on an earlier task: guests on a network that is not defined yet, and its removal."""

import base64
import json
import re

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
    assert (status, changed) == (0, 1), output
    assert host.snapshot() == before
    assert run("gold", check=False)[:2] == (0, 1)
    host.ip("link set eth0 down")
    assert run("gold", check=True)[:2] == (0, 1)
    assert run("gold", check=False)[:2] == (0, 1)


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
    assert (status, changed, "WARNING" in output) == (0, 2, False), output
    assert host.snapshot() == before
    assert play(roles=[ROLE], vars=absent)[:2] == (0, 2)
    assert play(how, roles=[ROLE], vars=absent)[:2] == (0, 0)
    assert host.links() == {}


def test_a_host_link_and_defaults_of_nics_are_predicted_made_persisted_and_removed(host, play):
    variables = {
        "vepa_network_name": "local",
        "vepa_network_mode": "bridge",
        "vepa_network_devices": ["eth1"],
        "vepa_network_host_link": {"addresses": ["198.51.100.1/24"]},
        "vepa_network_guard": {"vlans": [5]},
        "vepa_network_broadcast_queue": 5000,
        "vepa_network_portgroups": [{"name": "slow", "bandwidth": {"outbound": {"average": 1024}}}],
        "vepa_network_guests": [{"name": "web", "nics": [{"portgroup": "slow"}]}],
        "vepa_network_persist": True,
    }
    before = host.snapshot()
    status, foretold, output = play("option", roles=[ROLE], vars=variables)
    assert status == 0 and host.snapshot() == before, output
    status, changed, output = play(roles=[ROLE], vars=variables)
    assert (status, changed) == (0, foretold), output
    (row,) = host.module("macvtap_info")["attachments"]
    assert (row["guard"]["vlans"], row["broadcast_queue"], row["bandwidth"]["outbound"]["average"]) == ([5], 5000, 1024)
    assert "address add dev mvh-local 198.51.100.1/24" in host.read("/etc/macvtap/boot/eth1.host")
    assert play(roles=[ROLE], vars=variables)[:2] == (0, 0)
    status, _changed, output = play(roles=[ROLE], vars={**variables, "vepa_network_state": "absent"})
    assert status == 0, output
    assert host.links("macvlan") == {} and host.node("/etc/macvtap/boot/eth1.host") is None


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


SHOWN = "EXPORTS={{ [vepa_network_taps, vepa_network_tap_paths] | to_json | b64encode }}="
EXPORTS = {"ansible.builtin.debug": {"msg": SHOWN}}


def exports(output):
    """The facts that the role exports, as EXPORTS shows them."""
    return json.loads(base64.b64decode(re.search(r"EXPORTS=([\w+/]+=*)", output)[1] + "=="))


def test_new_guests_of_both_kinds_are_predicted_to_the_last_name_and_device(host, play):
    variables = {
        "vepa_network_name": "vepanet",
        "vepa_network_devices": ["eth0", "eth1"],
        "vepa_network_guests": [
            {"name": "bare", "nics": []},
            {"name": "db", "xml": (DOMAIN % "gold").replace(" portgroup='gold'", "")},
            {"name": "web", "nics": [{}, {"device": "eth1"}]},
        ],
    }
    told = []
    for check in ("option", False, False):
        status, _changed, output = play(check, roles=[ROLE], post_tasks=[EXPORTS], vars=variables)
        assert status == 0, output
        taps, paths = exports(output)
        assert list(taps) == list(paths) == ["bare", "db", "web"]
        rows = {guest: [{**row, "tap_major": 0, "tap_minor": 0} for row in taps[guest]] for guest in taps}
        told.append((rows, paths))
    assert told[0] == told[1] == told[2]
    rows, paths = told[0]
    assert [(row["network"], row["device"]) for row in rows["db"] + rows["web"]] == [
        ("vepanet", "eth0"), ("vepanet", "eth1"), (None, "eth1"),
    ]  # fmt: skip
    assert paths == {guest: [row["tap_path"] for row in rows[guest]] for guest in rows}


def test_a_guest_with_a_name_only_is_refused_and_with_absent_loses_all_its_nics(host, play):
    guests = [{"name": "good", "nics": [{}]}, {"name": "silent"}, {"name": "unset", "nics": None, "xml": ""}]
    variables = {"vepa_network_xml": NETWORK, "vepa_network_guests": guests}
    status, _changed, output = play(roles=[ROLE], vars=variables)
    assert status and "guests names only these: 'silent', 'unset'; write nics: []" in output, output
    assert host.links() == {} and host.node("/etc/macvtap/networks/vepanet.xml") is None
    host.network(xml=NETWORK)
    host.attach(attachments=[{"guest": guest, "network": "vepanet"} for guest in ("silent", "unset", "other")])
    status, _changed, output = play(roles=[ROLE], vars={**variables, "vepa_network_state": "absent"})
    assert status and "has 1 live attachments" in output and "(guest other nic 0)" in output, output
    assert [row["guest"] for row in host.module("macvtap_info")["attachments"]] == ["other"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_guest_with_nics_and_xml_is_refused_by_name(host, play, state):
    guests = [{"name": "both", "nics": [{}], "xml": DOMAIN % "gold"}]
    variables = {"vepa_network_xml": NETWORK, "vepa_network_state": state, "vepa_network_guests": guests}
    status, _changed, output = play(roles=[ROLE], vars=variables)
    assert status and "guests[0] (guest 'both') has both nics and xml" in output, output
    assert host.links() == {}


def test_guests_that_leave_one_way_empty_are_not_refused(host, play):
    guests = [
        {"name": "bare", "nics": []},
        {"name": "web", "nics": [{}], "xml": ""},
        {"name": "db", "nics": [], "xml": DOMAIN % "gold"},
    ]
    status, _changed, output = play(roles=[ROLE], vars={"vepa_network_xml": NETWORK, "vepa_network_guests": guests})
    assert status == 0, output
    assert sorted(row["guest"] for row in host.module("macvtap_info")["attachments"]) == ["db", "web"]
