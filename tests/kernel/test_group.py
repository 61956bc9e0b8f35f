# Copyright (c) 2026, linuxnet.macvtap maintainers
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Defaults for the action group: every module, role and playbook takes every shared option, and works where it says."""

import json
import re

import pytest
import yaml
from module_host import CHECKOUT

from ansible_collections.linuxnet.macvtap.plugins.module_utils._task.options import SHARED

GROUP = "linuxnet.macvtap.macvtap"
#: every shared option, and a place that no default names
PLACES = {"definitions_dir": "/srv/macvtap/networks", "device_dir": "/srv/macvtap/dev"}
ACTIONS = yaml.safe_load((CHECKOUT / "meta" / "runtime.yml").read_text(encoding="utf-8"))["action_groups"]["macvtap"]
#: a task of each module, in an order in which they can run
TASKS = {
    "macvtap_network": {"name": "vepanet", "devices": ["eth0"]},
    "macvtap_attach": {"attachments": [{"guest": "web", "network": "vepanet"}]},
    "macvtap_persist": {"attachments": "{{ done.macvtap_attach.attachments }}", "reload": False},
    "macvtap_info": {"network": "vepanet"},
    "macvtap_probe": {"device": "eth0"},
    "macvtap_qemu": {"name": "web", "state": "absent", "supervisor": "none"},
}
NETWORK = "<network><name>vepanet</name><forward mode='vepa' dev='eth0'/></network>"
DOMAIN = (
    "<domain><name>web</name><devices><interface type='network'><source network='vepanet'/></interface>"
    "</devices></domain>"
)


@pytest.fixture
def places(host, clean_boot):
    """Directories of their own for definitions and nodes; afterwards nothing may be at the default ones."""
    host.run(["sh", "-c", "rm -rf /srv/macvtap && mkdir -p /srv/macvtap/dev"])
    yield PLACES
    assert host.taps() == [] and host.run(["ls", SHARED["definitions_dir"]["default"]], check=False).returncode != 0
    host.run(["rm", "-rf", "/srv/macvtap", "/etc/macvtap"])


@pytest.fixture
def play(ansible, tmp_path):
    """Run a play with these keywords; return (number of changed tasks, output)."""

    def run(*words, fails=False, **keywords):
        playbook = tmp_path / "play.yml"
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, **keywords}]), encoding="utf-8")
        return result(ansible("ansible-playbook", str(playbook), *words), fails)

    return run


@pytest.fixture
def playbook(ansible):
    """Run a playbook of the collection with these variables; return (number of changed tasks, output)."""

    def run(name, fails=False, **variables):
        named = {"%s_%s" % (name, key): value for key, value in variables.items()}
        command = ("ansible-playbook", "linuxnet.macvtap." + name, "--extra-vars", json.dumps(named))
        return result(ansible(*command), fails)

    return run


def result(ended, fails):
    status, output = ended
    assert (status != 0) == fails, output
    return int(re.search(r"changed=(\d+)", output)[1]), output


def found(host):
    """What is in the places: names of definitions and of nodes."""
    return [host.run(["ls", path], check=False).stdout.split() for path in PLACES.values()]


def one_guest(host):
    """Whether there is the network vepanet and the one node of a guest, both in the places."""
    definitions, nodes = found(host)
    return definitions == ["vepanet.xml"] and len(nodes) == 1 and nodes[0].startswith("tap")


def boot_entries(host):
    return host.module("macvtap_persist", attachments=[], check=True)["entries"]


def test_these_tests_know_every_module_and_every_option():
    assert sorted(TASKS) == sorted(ACTIONS) == sorted(path.stem for path in CHECKOUT.glob("plugins/modules/*.py"))
    assert PLACES.keys() == SHARED.keys()


def test_every_module_takes_every_shared_option(host, play, places):
    tasks = []
    for name, options in TASKS.items():
        facts = {"done": "{{ done | default({}) | combine({'%s': this}) }}" % name}
        tasks += [
            {"linuxnet.macvtap." + name: options, "register": "this"},
            {"ansible.builtin.set_fact": facts},
        ]
    keywords = {"module_defaults": {"group/" + GROUP: places}, "tasks": tasks}
    # the network, the guest and the next boot
    assert play(**keywords)[0] == 3
    assert one_guest(host)
    assert play(**keywords)[0] == 0


@pytest.mark.parametrize("option", SHARED)
@pytest.mark.parametrize("name", ACTIONS)
def test_every_module_refuses_a_place_that_depends_on_where_it_runs(host, name, option):
    options = {**TASKS[name], option: "somewhere"}
    if name == "macvtap_persist":
        options["attachments"] = []
    assert host.refusal(name, **options) == "%s 'somewhere' is not an absolute path" % option


def test_a_link_that_the_network_makes_again_has_its_node_where_the_others_are(host, places):
    host.network(name="n", devices=["eth0"], **places)
    host.attach(attachments=[{"guest": "web", "network": "n"}], **places)
    # to passthrough and back a link is made again
    host.network(name="n", mode="passthrough", devices=["eth1"], **places)
    (row,) = host.module("macvtap_info", **places)["attachments"]
    assert (row["mode"], row["problems"]) == ("passthrough", []) and host.opens(row)
    host.detach(guest="web", **places)


# -- roles -------------------------------------------------------------------------------------------------------------

ROLE = "linuxnet.macvtap.vepa_network"
WANTED = {
    "vepa_network_name": "vepanet",
    "vepa_network_devices": ["eth0"],
    "vepa_network_guests": [{"name": "web", "nics": [{}]}],
    "vepa_network_verify": True,
    "vepa_network_persist": True,
}
GIVEN = {"vepa_network_" + option: path for option, path in PLACES.items()}


@pytest.mark.parametrize(
    ("defaults", "variables"),
    [(PLACES, {}), ({}, GIVEN), (dict.fromkeys(PLACES, "/srv/elsewhere"), GIVEN)],
    ids=["of the group", "variables of the role", "variables before those of the group"],
)
def test_the_role_works_where_the_group_or_its_own_variables_say(host, play, places, defaults, variables):
    def role(**more):
        keywords = {"module_defaults": {"group/" + GROUP: defaults}, "vars": {**WANTED, **variables, **more}}
        return play(roles=[ROLE], **keywords)

    assert role()[0] > 0
    assert one_guest(host) and len(boot_entries(host)) == 1
    assert role()[0] == 0
    assert role(vepa_network_state="absent")[0] > 0
    assert found(host) == [[], []] and boot_entries(host) == []


@pytest.mark.parametrize("of_role", [False, True], ids=["of the group", "variable of the role"])
def test_the_role_for_guests_removes_nodes_where_they_are(host, play, places, of_role):
    host.attach(attachments=[{"guest": "web", "device": "eth0"}], **places)
    variables = {"qemu_guest_guests": [{"name": "web", "state": "absent"}], "qemu_guest_supervisor": "none"}
    variables.update({"qemu_guest_device_dir": places["device_dir"]} if of_role else {})
    defaults = {} if of_role else {"group/" + GROUP: places}
    play(roles=["linuxnet.macvtap.qemu_guest"], module_defaults=defaults, vars=variables)
    assert host.links() == {} and found(host) == [[], []]


# -- playbooks ---------------------------------------------------------------------------------------------------------


def test_every_playbook_takes_every_shared_option(host, playbook, places, tmp_path):
    files = {"network": (tmp_path / "net.xml", NETWORK), "guest": (tmp_path / "web.xml", DOMAIN)}
    for path, text in files.values():
        path.write_text(text, encoding="utf-8")
    page = tmp_path / "page.html"
    #: name → its variables, and whether a guest is there afterwards
    runs = [
        ("first_vepa_host", {"device": "eth0", "guests": ["web"]}, True),
        ("fleet_report", {"file": str(page), "time": "some day"}, True),
        ("tear_down", {"networks": "vepanet"}, False),
        ("migrate_from_libvirt", {"%s_files" % kind: [str(path)] for kind, (path, _text) in files.items()}, True),
        ("tear_down", {"everything": True}, False),
        # libvirt's own driver for tests: no daemon
        ("migrate_to_libvirt", {"uri": "test:///default"}, False),
    ]
    assert {name for name, *_rest in runs} == {path.stem for path in CHECKOUT.glob("playbooks/*.yml")}
    for name, variables, is_there in runs:
        playbook(name, **variables, **places)
        assert one_guest(host) == is_there and len(boot_entries(host)) == is_there, name
        assert playbook(name, **variables, **places)[0] == 0
    assert found(host) == [[], []] and "vepanet" in page.read_text(encoding="utf-8")


def test_a_tear_down_that_is_refused_leaves_the_boot_as_it_was(host, playbook, clean_boot):
    playbook("first_vepa_host", device="eth0", guests=["web", "db"])
    entries, links = boot_entries(host), host.links()
    path = host.module("macvtap_info")["attachments"][0]["tap_path"]
    with host.hold(path):
        _changed, output = playbook("tear_down", fails=True, networks="vepanet")
    assert "is held open by pid" in output
    assert (boot_entries(host), host.links().keys()) == (entries, links.keys()) and len(entries) == 2
    playbook("tear_down", networks="vepanet")


def test_a_tear_down_that_fails_half_way_leaves_no_boot_entry(host, playbook, clean_boot):
    playbook("first_vepa_host", device="eth0")
    assert len(boot_entries(host)) == 2
    definitions = SHARED["definitions_dir"]["default"]
    host.run(["sh", "-c", "mount --bind %s %s && mount -o remount,bind,ro %s" % ((definitions,) * 3)])
    try:
        _changed, output = playbook("tear_down", fails=True, networks="vepanet")
    finally:
        host.run(["umount", definitions])
    assert "Read-only file system" in output and boot_entries(host) == [] and host.links() == {}
    # the rest goes with the next run
    assert playbook("tear_down", networks="vepanet")[0] == 1
    assert host.module("macvtap_info")["networks"] == []
